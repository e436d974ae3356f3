import type { Situation } from '../../common/wire/situation.ts'

/** Of an agent that has found out nothing yet. */
export const NO_SITUATION: Situation = {
  udp: { mapping: 'unknown', filtering: 'unknown' },
  tcp: { mapping: 'unknown' },
  carrierNat: false,
  portOpening: 'unknown',
  problem: '',
  ports: { tcp: 0, udp: 0 },
  lanAddress: undefined,
  ipVersions: [],
}

/** Behind a router of the common kind that refuses UPnP. */
export const HOME: Situation = {
  udp: { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
  tcp: { mapping: 'endpoint-independent' },
  carrierNat: false,
  portOpening: 'failed',
  problem: 'it refused',
  ports: { tcp: 41822, udp: 41823 },
  lanAddress: '192.168.1.20',
  ipVersions: [4],
}
