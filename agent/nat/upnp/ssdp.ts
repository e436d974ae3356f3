/** UPnP Device Architecture 2.0 §1: where searches and announcements go. */
export const SSDP_ADDRESS = '239.255.255.250'
export const SSDP_PORT = 1900
/** Ours: real answers have 300 to 500 bytes. */
const MAX_SSDP_BYTES = 2048

const GATEWAY_DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:'
/** A gateway of version 2 answers to both; some of version 1 only to their own. */
export const SEARCH_TARGETS = [`${GATEWAY_DEVICE}1`, `${GATEWAY_DEVICE}2`] as const

/** What a device says: in answer to a search, or by itself when it comes and goes. */
export interface SsdpMessage {
  readonly kind: 'answer' | 'alive' | 'byebye'
  readonly target: string
  /** Where its description is; absent in a farewell. */
  readonly location: string | undefined
  /** Grows with every start of the device (UPnP 1.1 and later). */
  readonly bootId: number | undefined
}

/** `mxS`: the device spreads its answer over so many seconds; a search sent to one address has none. */
export function ssdpSearch(target: string, mxS: number | undefined): Buffer {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${SSDP_ADDRESS}:${SSDP_PORT}`,
    'MAN: "ssdp:discover"',
    ...(mxS === undefined ? [] : [`MX: ${mxS}`]),
    `ST: ${target}`,
    '',
    '',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

/** The message in a datagram, if it is about an internet gateway. */
export function parseSsdp(bytes: Uint8Array): SsdpMessage | undefined {
  if (bytes.length > MAX_SSDP_BYTES) return undefined
  const [start = '', ...lines] = Buffer.from(bytes).toString('latin1').split(/\r?\n/)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  const kind = kindOf(start, headers.get('nts'))
  const target = headers.get(kind === 'answer' ? 'st' : 'nt')
  if (!kind || !target?.startsWith(GATEWAY_DEVICE)) return undefined
  const bootId = headers.get('bootid.upnp.org')
  return {
    kind,
    target,
    location: headers.get('location'),
    bootId: bootId !== undefined && /^\d{1,10}$/.test(bootId) ? Number(bootId) : undefined,
  }
}

function kindOf(start: string, notification: string | undefined): SsdpMessage['kind'] | undefined {
  if (/^HTTP\/1\.[01] 200\b/i.test(start)) return 'answer'
  if (!/^NOTIFY \* HTTP\/1\.[01]$/i.test(start.trim())) return undefined
  if (notification === 'ssdp:alive') return 'alive'
  return notification === 'ssdp:byebye' ? 'byebye' : undefined
}

/**
 * The address of a description, if it is on the very device that sent the message: anything else would let a stranger
 * on the LAN make us fetch from wherever they like.
 */
export function ownLocation(location: string | undefined, from: string): URL | undefined {
  if (location === undefined || !URL.canParse(location)) return undefined
  return onDevice(new URL(location), from)
}

/** The URL itself when it is plain HTTP to this address without credentials. */
export function onDevice(url: URL, address: string): URL | undefined {
  const plain = url.protocol === 'http:' && url.username === '' && url.password === ''
  return plain && url.hostname === address ? url : undefined
}
