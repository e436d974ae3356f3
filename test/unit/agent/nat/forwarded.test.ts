import test from 'ava'
import { forwardedEndpoints } from '../../../../agent/nat/forwarded.ts'
import { NO_PORT_MAPPING } from '../../../../agent/nat/port-mapping-report.ts'
import type { UdpBehaviour } from '../../../../agent/nat/udp-behaviour.ts'

const OUTSIDE = { address: '44.128.0.11', port: 51_000 }
const HARD: UdpBehaviour = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  address: OUTSIDE,
}
const at = (port: number) => ({ address: OUTSIDE.address, port })

function forwarded(udp: UdpBehaviour, mapping = NO_PORT_MAPPING) {
  const tcp = { mapping: 'unknown', address: undefined } as const
  return forwardedEndpoints({ udp, tcp, mapping, ports: { tcp: 27_592, udp: 27_329 } })
}

test('a port forwarded by hand is looked for at the outside address and our own port, whatever port goes out', t => {
  t.deepEqual(forwarded(HARD), { tcp: at(27_592), udp: at(27_329) })
  t.deepEqual(forwarded({ ...HARD, mapping: 'endpoint-independent' }), { tcp: at(27_592), udp: at(27_329) })
})

test('nothing is looked for without a NAT, nor at an address that is not public, nor where none is known', t => {
  t.deepEqual(forwarded({ ...HARD, mapping: 'none' }), {})
  t.deepEqual(forwarded({ ...HARD, address: undefined }), {})
  for (const address of ['10.1.2.3', '100.64.0.7', '2a01:db8::1']) {
    t.deepEqual(forwarded({ ...HARD, address: { address, port: 51_000 } }), {}, address)
  }
})

test('UDP is not looked for where the relay comes in anyhow, nor where nobody listens', t => {
  for (const filtering of ['endpoint-independent', 'address-dependent', 'unknown'] as const) {
    const udp: UdpBehaviour = { ...HARD, mapping: 'endpoint-independent', filtering }
    t.deepEqual(forwarded(udp), { tcp: at(27_592) }, filtering)
  }
  const blocked: UdpBehaviour = { mapping: 'blocked', filtering: 'blocked', address: OUTSIDE }
  t.deepEqual(forwarded(blocked), { tcp: at(27_592) })
  const deaf = { udp: HARD, tcp: { mapping: 'unknown', address: undefined }, mapping: NO_PORT_MAPPING } as const
  t.deepEqual(forwardedEndpoints({ ...deaf, ports: { tcp: 27_592, udp: undefined } }), { tcp: at(27_592) })
})

test('what the router opened on request needs no guess; the other port may still be forwarded', t => {
  const opened = { ...NO_PORT_MAPPING, protocol: 'upnp', externalAddress: OUTSIDE.address, tcp: at(27_592) } as const
  t.deepEqual(forwarded(HARD, opened), { udp: at(27_329) })
  t.deepEqual(forwarded(HARD, { ...opened, udp: at(27_329) }), {})
  const elsewhere = { ...opened, externalAddress: '44.128.9.9', tcp: { address: '44.128.9.9', port: 27_592 } }
  t.deepEqual(forwarded(HARD, elsewhere), { tcp: at(27_592), udp: at(27_329) }, 'a mapping that cannot be right')
})
