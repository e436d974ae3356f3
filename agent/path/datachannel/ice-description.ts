/** Ours have about 500 characters. */
const MAX_SDP_LENGTH = 4096

/** All that two ends must know of each other to connect (RFC 8839, RFC 8841, RFC 8122); the rest of an SDP is fixed. */
export interface IceDescription {
  readonly ufrag: string
  readonly pwd: string
  /** SHA-256 of the DTLS certificate, upper-case hex pairs with colons. */
  readonly fingerprint: string
  readonly setup: 'actpass' | 'active' | 'passive'
  /** Our own attribute: the sender is on a port that its router maps, so the other end may give way about ports. */
  readonly mapped: boolean
}

const MAPPED_LINE = 'a=x-culvert-mapped'

/** The one message size both ends announce; our stream never sends a larger message. */
export const MAX_MESSAGE_BYTES = 65536

/** Reads an SDP of ours or of a peer; undefined when a field is missing, doubled or not of its form. */
export function parseDescription(sdp: string): IceDescription | undefined {
  if (sdp.length > MAX_SDP_LENGTH) return undefined
  const only = (pattern: RegExp) => {
    const found = [...sdp.matchAll(pattern)]
    return found.length === 1 ? found[0]?.[1] : undefined
  }
  const ufrag = only(/^a=ice-ufrag:([A-Za-z0-9+/]{4,64})\r?$/gm)
  const pwd = only(/^a=ice-pwd:([A-Za-z0-9+/]{22,128})\r?$/gm)
  const fingerprint = only(/^a=fingerprint:sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\r?$/gim)
  const setup = only(/^a=setup:(actpass|active|passive)\r?$/gm)
  if (!ufrag || !pwd || !fingerprint) return undefined
  if (setup !== 'actpass' && setup !== 'active' && setup !== 'passive') return undefined
  return { ufrag, pwd, fingerprint: fingerprint.toUpperCase(), setup, mapped: sdp.split(/\r?\n/).includes(MAPPED_LINE) }
}

/**
 * Writes the SDP of a description. Both directions pass through here: what we send carries no address, and the native
 * parser only ever sees texts that we wrote ourselves.
 */
export function formatDescription(description: IceDescription): string {
  const lines = [
    'v=0',
    'o=- 1 0 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=ice-options:ice2,trickle',
    `a=fingerprint:sha-256 ${description.fingerprint}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    'a=sctp-port:5000',
    `a=max-message-size:${MAX_MESSAGE_BYTES}`,
    `a=setup:${description.setup}`,
    `a=ice-ufrag:${description.ufrag}`,
    `a=ice-pwd:${description.pwd}`,
    ...(description.mapped ? [MAPPED_LINE] : []),
  ]
  return `${lines.join('\r\n')}\r\n`
}
