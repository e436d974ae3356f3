import test from 'ava'
import { networkFingerprint } from '../../../../agent/nat/network-fingerprint.ts'

const HEAD = 'IP address       HW type     Flags       HW address            Mask     Device\n'
const line = (ip: string, mac: string, flags = '0x2') =>
  `${ip}      0x1         ${flags}         ${mac}     *        eth0\n`
const ARP = HEAD + line('192.168.1.1', '02:00:00:00:00:01') + line('192.168.1.9', '02:00:00:00:00:09')
const ROUTER = [{ interfaceName: 'eth0', address: '192.168.1.1' }]

test('a network is named by its router and its outside address', t => {
  const name = networkFingerprint(ROUTER, ARP, '203.0.113.5')
  t.regex(name ?? '', /^[0-9a-f]{24}$/)
  t.is(networkFingerprint(ROUTER, HEAD + line('192.168.1.1', '02:00:00:00:00:01'), '203.0.113.5'), name)
  t.not(networkFingerprint(ROUTER, ARP, '203.0.113.6'), name)
  t.not(networkFingerprint(ROUTER, HEAD + line('192.168.1.1', '02:00:00:00:00:02'), '203.0.113.5'), name)
  t.not(networkFingerprint([], ARP, '203.0.113.5'), name)
})

test('a router that the kernel has not heard is told by its address alone', t => {
  const unheard = HEAD + line('192.168.1.1', '00:00:00:00:00:00', '0x0')
  t.is(networkFingerprint(ROUTER, unheard, '203.0.113.5'), networkFingerprint(ROUTER, '', '203.0.113.5'))
})

test('before the outside address is known the network has no name', t => {
  t.is(networkFingerprint(ROUTER, ARP, undefined), undefined)
})
