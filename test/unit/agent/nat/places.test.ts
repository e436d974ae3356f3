import test from 'ava'
import { placesOf } from '../../../../agent/nat/places.ts'

const ARP = `IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         a4:2b:b0:01:02:03     *        wlan0
10.0.0.1         0x1         0x2         a4:2b:b0:01:02:04     *        eth0
10.9.9.9         0x1         0x0         00:00:00:00:00:00     *        eth0
`
const via = (address: string, interfaceName = 'eth0') => ({ address, interfaceName })

test('machines behind one router have a place in common, whatever else they are connected to', t => {
  const [wifi] = placesOf([via('192.168.1.1', 'wlan0')], ARP)
  t.true(wifi !== undefined && wifi >= 0 && wifi <= 0xffff)
  const both = placesOf([via('10.0.0.1'), via('192.168.1.1', 'wlan0')], ARP)
  t.is(both.length, 2)
  t.true(both.includes(wifi ?? -1))
  t.deepEqual(placesOf([via('192.168.1.1'), via('192.168.1.1', 'wlan0')], ARP), [wifi ?? -1])
})

test('another router with the same address is another place', t => {
  t.notDeepEqual(placesOf([via('10.0.0.1')], ARP), placesOf([via('10.0.0.1')], ARP.replace('02:04', '02:05')))
})

test('a router that the kernel has not heard names no place', t => {
  t.deepEqual(placesOf([via('10.9.9.9'), via('172.16.0.1')], ARP), [])
  t.deepEqual(placesOf([], ARP), [])
})
