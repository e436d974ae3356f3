import { isIP } from 'node:net'
import { CulvertError } from '../common/errors.ts'
import { addressScope, type Endpoint } from '../common/wire/endpoint.ts'
import { decodeStun, encodeStun, type StunMessage } from '../common/wire/stun.ts'

/** The STUN endpoints of a relay: up to two addresses of each IP version; none when it answers on every address it has. */
export interface StunLayout {
  readonly addresses: readonly string[]
  /** Main and alternate port (RFC 5780 §4). */
  readonly ports: readonly [number, number]
}

/** Which of the layout's endpoints: an index into its addresses, and one into its ports. */
export interface StunSpot {
  readonly address: number
  readonly port: 0 | 1
}

export interface StunAnswer {
  readonly bytes: Uint8Array
  /** Where the answer has to leave from. */
  readonly via: StunSpot
}

/** An answer is at most three times its request and one attribute, so that a forged source gains nothing by us. */
const AMPLIFICATION = 3
const SLACK_BYTES = 8
const CHANGE_REQUEST = 0x0003
const UNKNOWN_ATTRIBUTE = 420

/**
 * The answer to a datagram that arrived at `spot`, or undefined for anything but a binding request. Over TCP an answer
 * cannot leave from elsewhere, so a change request is an error there (RFC 5780 §6.1 has it for UDP alone).
 */
export function answerStun(
  request: Uint8Array,
  from: Endpoint,
  spot: StunSpot,
  layout: StunLayout,
  transport: 'udp' | 'tcp',
): StunAnswer | undefined {
  const message = decodeStun(request)
  if (message?.class !== 'request' || message.method !== 'binding') return undefined
  const { transactionId, changeRequest: change } = message
  const alternate = alternateOf(layout, spot.address)
  const cannotChange =
    change && ((transport === 'tcp' && (change.address || change.port)) || (change.address && alternate === undefined))
  const notUnderstood = [...(message.unknownAttributes ?? []).slice(0, 4), ...(cannotChange ? [CHANGE_REQUEST] : [])]
  if (notUnderstood.length > 0) {
    const error = { class: 'error', method: 'binding', transactionId, errorCode: UNKNOWN_ATTRIBUTE } as const
    return { bytes: encodeStun({ ...error, unknownAttributes: notUnderstood }), via: spot }
  }
  const via: StunSpot = {
    address: change?.address ? (alternate ?? spot.address) : spot.address,
    port: change?.port ? otherPort(spot.port) : spot.port,
  }
  return { bytes: success(request.length, transactionId, from, spot, via, layout), via }
}

/** XOR-MAPPED-ADDRESS always; OTHER-ADDRESS and RESPONSE-ORIGIN as far as they fit the limit (IPv6 ones may not). */
function success(
  requestBytes: number,
  transactionId: Uint8Array,
  from: Endpoint,
  spot: StunSpot,
  via: StunSpot,
  layout: StunLayout,
): Uint8Array {
  const base: StunMessage = { class: 'success', method: 'binding', transactionId, xorMappedAddress: from }
  const origin = layout.addresses[via.address]
  const other = layout.addresses[alternateOf(layout, spot.address) ?? -1]
  const withOther: StunMessage =
    other === undefined ? base : { ...base, otherAddress: { address: other, port: layout.ports[otherPort(spot.port)] } }
  const full: StunMessage =
    origin === undefined
      ? withOther
      : { ...withOther, responseOrigin: { address: origin, port: layout.ports[via.port] } }
  for (const candidate of [full, withOther]) {
    const bytes = encodeStun(candidate)
    if (bytes.length <= requestBytes * AMPLIFICATION + SLACK_BYTES) return bytes
  }
  return encodeStun(base)
}

const otherPort = (port: 0 | 1): 0 | 1 => (port === 0 ? 1 : 0)

/** Index of the other address of the same IP version; undefined where there is none. */
function alternateOf({ addresses }: StunLayout, index: number): number | undefined {
  const family = isIP(addresses[index] ?? '')
  const other = addresses.findIndex((address, i) => i !== index && isIP(address) === family)
  return other < 0 ? undefined : other
}

/**
 * Every endpoint of the layout, both ports of an address together: the first address of each IP version, then the second
 * ones, which whoever cuts the list short learns as OTHER-ADDRESS. Without addresses, those that the agent can reach.
 */
export function stunEndpoints(layout: StunLayout, reachable: readonly string[]): readonly Endpoint[] {
  const addresses = layout.addresses.length > 0 ? layout.addresses : reachable
  const isFirst = (address: string) => addresses.find(other => isIP(other) === isIP(address)) === address
  const ordered = [...addresses.filter(isFirst), ...addresses.filter(address => !isFirst(address))]
  return ordered.flatMap(address => layout.ports.map(port => ({ address, port })))
}

/**
 * Where an agent whose line came in at `local` can ask: there, and at a public address of the other IP version, because
 * its NAT may be there. Behind a proxy or a one-to-one NAT `local` is not public, and nothing else is known.
 */
export function reachableAddresses(local: string, own: readonly string[]): readonly string[] {
  if (addressScope(local) !== 'public') return [local]
  const other = own.find(address => isIP(address) !== isIP(local) && addressScope(address) === 'public')
  return other === undefined ? [local] : [local, other]
}

/** Length of the STUN message that these bytes begin, `undefined` while that is not known, `wire-malformed` if none. */
export function stunFrameLength(bytes: Uint8Array): number | undefined {
  const first = bytes[0]
  if (first !== undefined && (first & 0xc0) !== 0) throw new CulvertError('wire-malformed', 'not STUN')
  const high = bytes[2]
  const low = bytes[3]
  if (high === undefined || low === undefined) return undefined
  const length = 20 + ((high << 8) | low)
  if (length > MAX_TCP_REQUEST_BYTES || length % 4 !== 0) throw new CulvertError('wire-malformed', 'not a STUN request')
  return length
}

/** Far more than any binding request needs (RFC 8489 §6.1 has 548 bytes as the safe size of a datagram). */
const MAX_TCP_REQUEST_BYTES = 548
