import type { AgentStatus, PeerStatus } from '../../../../agent/control/status.ts'

const QUIET: Omit<PeerStatus, 'id' | 'name'> = {
  state: 'offline',
  path: null,
  standby: [],
  why: 'not connected to any relay',
  remedy: null,
  knownFrom: [{ source: 'config', ageS: null }],
  streams: 0,
  bytesIn: 0,
  bytesOut: 0,
  relayBytesIn: 0,
  relayBytesOut: 0,
  datagramsIn: 0,
  datagramsOut: 0,
  datagramsDropped: 0,
}

/** A status with one of everything. */
export const SAMPLE_STATUS: AgentStatus = {
  peer: { id: 'a'.repeat(52), name: 'attic' },
  version: '0.1.0',
  uptimeS: 3 * 3600 + 12 * 60 + 5,
  relays: [
    { url: 'https://relay.example.org', state: 'connected', rttMs: 21, lastError: null },
    { url: 'https://b.example.org', state: 'connecting', rttMs: null, lastError: 'no answer in 5 s' },
  ],
  nat: {
    udp: { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent', address: '203.0.113.5:4000' },
    tcp: { mapping: 'unknown', address: null },
    seenAgoS: 42,
    carrierNat: false,
    portMapping: {
      protocol: 'upnp',
      tcp: '203.0.113.5:4001',
      udp: null,
      verified: false,
      problem: 'the router gave another port',
    },
    probeBudget: { entries: 12, peakEntries: 260, packets: 514, limit: 1_500 },
  },
  peers: [
    {
      ...QUIET,
      id: 'b'.repeat(52),
      name: 'laptop',
      state: 'connected',
      path: {
        kind: 'tcp',
        transport: 'tcp',
        how: 'lan',
        local: '192.168.1.2:1',
        remote: '192.168.1.7:4000',
        rttMs: 3.1,
        sinceS: 9,
      },
      why: 'on the same network',
      streams: 2,
      bytesIn: 1_234_567,
      bytesOut: 345,
    },
    {
      ...QUIET,
      id: 'c'.repeat(52),
      name: 'phone',
      state: 'connected',
      path: {
        kind: 'udp',
        transport: 'datachannel',
        how: 'punched',
        local: '192.168.1.2:2',
        remote: '198.51.100.7:9',
        rttMs: 46,
        sinceS: 130,
      },
      why: 'their router keeps TCP out',
      remedy: 'turn on UPnP there',
    },
    { ...QUIET, id: 'd'.repeat(52), name: 'tv' },
  ],
  strangers: [{ id: 'e'.repeat(52), agoS: 5 }],
  services: [{ name: 'ssh', target: 'tcp://127.0.0.1:22' }],
  forwards: [
    {
      listen: 'tcp://127.0.0.1:2222',
      to: 'laptop/ssh',
      state: 'listening',
      problem: null,
      lastFailure: { reason: 'nobody is there', agoS: 61 },
    },
  ],
}
