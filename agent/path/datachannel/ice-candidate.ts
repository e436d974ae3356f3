import { addressScope, type Endpoint, plainAddress } from '../../../common/wire/endpoint.ts'

/** Candidates without extensions stay below 120 characters. */
const MAX_CANDIDATE_LENGTH = 256

/** One UDP candidate (RFC 8839 §5.1). `mapped` marks the outside address of a port mapping on the sender's router. */
export interface IceCandidate {
  readonly type: 'host' | 'srflx'
  readonly priority: number
  readonly endpoint: Endpoint
  readonly mapped: boolean
}

/** The foundation by which we tell each other that a candidate is a port mapping; ICE itself ignores its text. */
const MAPPED_FOUNDATION = 'mapped'

/** RFC 8445 §5.1.2.1: type preference 110 (between host 126 and srflx 100), highest local preference, component 1. */
const MAPPED_PRIORITY = 110 * 2 ** 24 + 65535 * 2 ** 8 + 255

/**
 * Reads a candidate line, with or without `a=`. Undefined for whatever we would not send a packet to: names, TCP,
 * other components, relayed ones, multicast, unspecified, link-local IPv6 and, unless `loopback`, loopback addresses.
 */
export function parseCandidate(line: string, loopback: boolean): IceCandidate | undefined {
  if (line.length > MAX_CANDIDATE_LENGTH) return undefined
  const match =
    /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) 1 udp (\d{1,10}) ([0-9A-Fa-f:.]{2,45}) (\d{1,5}) typ (host|srflx|prflx)(?: |$)/i.exec(
      line.trim(),
    )
  if (!match) return undefined
  const [, foundation, priorityText, addressText = '', portText, type] = match
  const address = plainAddress(addressText)
  const port = Number(portText)
  const priority = Number(priorityText)
  if (port < 1 || port > 65535 || priority < 1 || priority > 0x7fffffff) return undefined
  const scope = addressScope(address)
  if (scope === 'unusable' || (scope === 'loopback' && !loopback)) return undefined
  if (scope === 'link-local' && address.includes(':')) return undefined
  return {
    type: type?.toLowerCase() === 'host' ? 'host' : 'srflx',
    priority,
    endpoint: { address, port },
    mapped: foundation === MAPPED_FOUNDATION,
  }
}

/**
 * Writes the line for a candidate. No `raddr`: the peer has no use for the inside address behind a reflexive one.
 * Foundations by type and family are as fine as ours need be (RFC 8445 §5.1.1.3): there is one socket and one server.
 */
export function formatCandidate(candidate: IceCandidate): string {
  const { address, port } = candidate.endpoint
  const family = address.includes(':') ? 6 : 4
  const foundation = candidate.mapped ? MAPPED_FOUNDATION : `${candidate.type}${family}`
  return `a=candidate:${foundation} 1 UDP ${candidate.priority} ${address} ${port} typ ${candidate.type}`
}

/** The extra candidate for a port that our router maps to our socket. */
export function mappedCandidate(endpoint: Endpoint): IceCandidate {
  return { type: 'srflx', priority: MAPPED_PRIORITY, endpoint, mapped: true }
}
