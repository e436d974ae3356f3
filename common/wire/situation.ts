import { addressToBytes } from './address-bytes.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { familyOf, readAddress } from './endpoint-bytes.ts'
import { cutText, plainText } from './plain-text.ts'

/** What a NAT does, in the words of RFC 4787; as a filtering, `none` lets everybody in. */
const BEHAVIOURS = [
  'unknown',
  'none',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'blocked',
] as const
export type Behaviour = (typeof BEHAVIOURS)[number]

/** Whether the router opened ports for an agent, and if not, why. */
const OPENINGS = ['unknown', 'not-needed', 'made', 'failed', 'absent', 'behind-nat', 'off'] as const
export type PortOpening = (typeof OPENINGS)[number]

/** What one side of a session knows of the network around it: with that of both, one can say what keeps them apart. */
export interface Situation {
  readonly udp: { readonly mapping: Behaviour; readonly filtering: Behaviour }
  readonly tcp: { readonly mapping: Behaviour }
  readonly carrierNat: boolean
  readonly portOpening: PortOpening
  /** In words, for people; empty when there is nothing to say. */
  readonly problem: string
  /** Where it listens; 0 where it does not. */
  readonly ports: { readonly tcp: number; readonly udp: number }
  /** What a router would forward to. */
  readonly lanAddress: string | undefined
  /** What it has addresses of, beyond its own machine; empty when that is not known. */
  readonly ipVersions: readonly IpVersion[]
}

export type IpVersion = 4 | 6

const MAX_PROBLEM_BYTES = 300
const CARRIER_NAT = 1
const IP_VERSION_FLAGS: ReadonlyArray<readonly [flag: number, version: IpVersion]> = [
  [2, 4],
  [4, 6],
]

/**
 * Layout: UDP mapping u8, UDP filtering u8, TCP mapping u8, port opening u8, flags u8 (bit 0: carrier NAT, bit 1: has IPv4, bit 2: has IPv6), TCP port u16,
 * UDP port u16, family u8 (0 none, 4 or 6) and LAN address, text(300) problem.
 */
export function encodeSituation(situation: Situation): Uint8Array {
  const { udp, tcp, ports, lanAddress } = situation
  const address = lanAddress === undefined ? new Uint8Array(0) : addressToBytes(lanAddress)
  return new ByteWriter(12 + 16 + MAX_PROBLEM_BYTES)
    .u8(BEHAVIOURS.indexOf(udp.mapping))
    .u8(BEHAVIOURS.indexOf(udp.filtering))
    .u8(BEHAVIOURS.indexOf(tcp.mapping))
    .u8(OPENINGS.indexOf(situation.portOpening))
    .u8(flagsOf(situation))
    .u16(ports.tcp)
    .u16(ports.udp)
    .u8(lanAddress === undefined ? 0 : familyOf(address))
    .bytes(address)
    .text(cutText(situation.problem, MAX_PROBLEM_BYTES))
    .finish()
}

/** Values that we do not know yet are `unknown`; anything malformed throws `wire-malformed`. */
export function decodeSituation(bytes: Uint8Array): Situation {
  const reader = new ByteReader(bytes)
  const mapping = behaviourOf(reader.u8())
  const filtering = behaviourOf(reader.u8())
  const tcpMapping = behaviourOf(reader.u8())
  const portOpening = OPENINGS[reader.u8()] ?? 'unknown'
  const flags = reader.u8()
  const ports = { tcp: reader.u16(), udp: reader.u16() }
  const family = reader.u8()
  const lanAddress = family === 0 ? undefined : readAddress(reader, family)
  return {
    udp: { mapping, filtering },
    tcp: { mapping: tcpMapping },
    carrierNat: (flags & CARRIER_NAT) !== 0,
    portOpening,
    ports,
    lanAddress,
    ipVersions: IP_VERSION_FLAGS.filter(([flag]) => (flags & flag) !== 0).map(([, version]) => version),
    problem: plainText(reader.text(MAX_PROBLEM_BYTES)),
  }
}

function flagsOf({ carrierNat, ipVersions }: Situation): number {
  const has = IP_VERSION_FLAGS.filter(([, version]) => ipVersions.includes(version))
  return has.reduce((flags, [flag]) => flags | flag, carrierNat ? CARRIER_NAT : 0)
}

function behaviourOf(value: number): Behaviour {
  return BEHAVIOURS[value] ?? 'unknown'
}
