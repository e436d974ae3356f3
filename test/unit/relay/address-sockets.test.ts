import test from 'ava'
import { addressesToServe } from '../../../relay/address-sockets.ts'

const entry = (address: string, interfaceName = 'eth0') => {
  return { interfaceName, address, family: 4, prefixLength: 24, loopback: false } as const
}

test('public addresses are served before those of a host’s many containers, each once', t => {
  const bridges = Array.from({ length: 100 }, (_, i) => entry(`172.17.${i}.1`, `br-${i}`))
  const served = addressesToServe([...bridges, entry('127.0.0.1', 'lo'), entry('198.51.100.7'), entry('198.51.100.7')])
  t.deepEqual(served.slice(0, 3), ['198.51.100.7', '127.0.0.1', '172.17.0.1'])
  t.is(served.length, 64)
})
