import type { PathLink } from './path-link.ts'

/** User bytes so far, each counted once; for relays, what they carried, resent bytes included. */
export interface Traffic {
  readonly bytesIn: number
  readonly bytesOut: number
  readonly relayBytesIn: number
  readonly relayBytesOut: number
  readonly datagramsIn: number
  readonly datagramsOut: number
  /** Given up here, in either direction: the path or the local program did not take them in time. */
  readonly datagramsDropped: number
}

export const NO_TRAFFIC: Traffic = {
  bytesIn: 0,
  bytesOut: 0,
  relayBytesIn: 0,
  relayBytesOut: 0,
  datagramsIn: 0,
  datagramsOut: 0,
  datagramsDropped: 0,
}

export function addTraffic(a: Traffic, b: Traffic): Traffic {
  return {
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    relayBytesIn: a.relayBytesIn + b.relayBytesIn,
    relayBytesOut: a.relayBytesOut + b.relayBytesOut,
    datagramsIn: a.datagramsIn + b.datagramsIn,
    datagramsOut: a.datagramsOut + b.datagramsOut,
    datagramsDropped: a.datagramsDropped + b.datagramsDropped,
  }
}

/** What of these links went over relays. */
export function relayTraffic(links: readonly PathLink[]): Traffic {
  let relayBytesIn = 0
  let relayBytesOut = 0
  for (const link of links) {
    if (link.kind !== 'relay') continue
    relayBytesIn += link.bytesIn
    relayBytesOut += link.bytesOut
  }
  return { ...NO_TRAFFIC, relayBytesIn, relayBytesOut }
}
