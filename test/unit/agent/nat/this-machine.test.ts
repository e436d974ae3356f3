import test from 'ava'
import { ThisMachine } from '../../../../agent/nat/this-machine.ts'
import { generateKeyPair } from '../../../../common/platform/ed25519.ts'
import type { InterfaceAddress } from '../../../../common/platform/network-interfaces.ts'
import { FakeClock } from '../../fake-clock.ts'

const on = (interfaceName: string, address: string): InterfaceAddress => ({
  interfaceName,
  address,
  family: address.includes(':') ? 6 : 4,
  prefixLength: 24,
  loopback: interfaceName === 'lo',
})

function machine(...interfaces: readonly InterfaceAddress[]) {
  const clock = new FakeClock()
  const marks = new Set<string>()
  const looks = { addresses: 0, marks: 0 }
  const thisMachine = new ThisMachine({
    clock,
    interfaces: () => {
      looks.addresses++
      return interfaces
    },
    marks: () => {
      looks.marks++
      return new Set(marks)
    },
  })
  return { clock, marks, looks, thisMachine }
}

test('own addresses are those of all interfaces, in any spelling', t => {
  const { thisMachine } = machine(on('eth0', '192.168.1.20'), on('eth0', '2001:db8::1'), on('eth1', '10.0.0.2'))
  for (const own of ['192.168.1.20', '10.0.0.2', '2001:db8::1', '2001:DB8:0::1', '::ffff:10.0.0.2']) {
    t.true(thisMachine.isOwnAddress(own), own)
  }
  for (const other of ['192.168.1.21', '2001:db8::2', '127.0.0.1']) t.false(thisMachine.isOwnAddress(other), other)
})

test('an address that stands on the loopback interface is ours, too; 127.0.0.1 has rules of its own', t => {
  const { thisMachine } = machine(on('lo', '127.0.0.1'), on('lo', '::1'), on('lo', '10.255.0.1'))
  t.true(thisMachine.isOwnAddress('10.255.0.1'))
  t.false(thisMachine.isOwnAddress('127.0.0.1'))
  t.false(thisMachine.isOwnAddress('::1'))
})

test('however much a peer tells, the machine is looked at once in a second', t => {
  const { clock, marks, looks, thisMachine } = machine(on('eth0', '192.168.1.20'))
  const peer = generateKeyPair().id
  const ask = () => {
    for (let i = 0; i < 1_000; i++) if (thisMachine.isOwnAddress('192.168.1.20')) thisMachine.runs(peer)
  }
  ask()
  clock.advance(999)
  ask()
  t.deepEqual(looks, { addresses: 1, marks: 1 })
  marks.add(peer)
  clock.advance(1)
  t.true(thisMachine.runs(peer))
  ask()
  t.deepEqual(looks, { addresses: 2, marks: 2 })
})
