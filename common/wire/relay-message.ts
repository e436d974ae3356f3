import { decode, encode } from '@msgpack/msgpack'
import { CulvertError, reasonOf } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import { formatEndpoint, parseEndpoint } from './endpoint.ts'
import { ENTRY_BYTES, MAX_CHAIN_BYTES } from './membership.ts'
import { nestsDeeperThan } from './msgpack-depth.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'
import { plainText } from './plain-text.ts'
import { REACH_NONCE_BYTES } from './reach.ts'
import { NONCE_BYTES } from './relay-proof.ts'

/** The control line's version; a relay that cannot speak it says so in `refused`. */
export const RELAY_PROTOCOL = 1
/** Larger messages are refused before they are parsed. */
export const MAX_RELAY_MESSAGE_BYTES = 64 * 1024
/** Peers whose presence one agent may ask for. */
export const MAX_WATCHED_PEERS = 1024
export const TICKET_BYTES = 16
export const SIGNATURE_BYTES = 64

/** Why a call did not become a pipe. */
export type CallFailure = 'offline' | 'refused' | 'busy' | 'over-quota'
const CALL_FAILURES: readonly CallFailure[] = ['offline', 'refused', 'busy', 'over-quota']

/** What came of a look from outside at a port; `refused`: not at this address. */
export type ReachOutcome = 'reached' | 'unreached' | 'busy' | 'refused'
const REACH_OUTCOMES: readonly ReachOutcome[] = ['reached', 'unreached', 'busy', 'refused']

/** In `features`: the relay answers `reach`. */
export const REACH_FEATURE = 'reach'

/** In `features`: the relay knows networks, their guests and their statements. */
export const NETWORK_FEATURE = 'network'

/** Guests that one agent may expect at a time. */
export const MAX_GUESTS = 64

/** Who is let in for a while, to call the agent that tells of it. */
export interface Guest {
  readonly id: PeerId
  /** The last second; s since 1970. */
  readonly notAfter: number
}

/** What an agent says to a relay. */
export type AgentMessage =
  | {
      readonly type: 'hello'
      readonly protocol: number
      readonly peer: PeerId
      readonly nonce: Uint8Array
      readonly relayName: string
      readonly signature: Uint8Array
      readonly software: string
      /** Chosen once per process: tells a reconnect from a second machine with the same key. */
      readonly instance: Uint8Array
      /** The chain that proves a membership of a network. */
      readonly membership?: Uint8Array
    }
  | { readonly type: 'watch'; readonly peers: readonly PeerId[] }
  | { readonly type: 'call'; readonly call: number; readonly to: PeerId }
  | { readonly type: 'refuse'; readonly ticket: Uint8Array; readonly reason: CallFailure }
  | { readonly type: 'ping'; readonly id: number }
  /** Connect to the address that this line comes from, at this port: does our answer come? */
  | {
      readonly type: 'reach'
      readonly check: number
      readonly transport: 'tcp' | 'udp'
      readonly port: number
      readonly nonce: Uint8Array
    }
  /** Whom the agent expects as guests; replaces the last one. */
  | { readonly type: 'guests'; readonly guests: readonly Guest[] }
  /** An entry of the agent's network that others had better know. */
  | { readonly type: 'statement'; readonly chain: Uint8Array }

/** What a relay says to an agent. */
export type RelayMessage =
  | {
      readonly type: 'challenge'
      readonly protocols: readonly number[]
      readonly relay: PeerId
      readonly nonce: Uint8Array
    }
  | {
      readonly type: 'welcome'
      readonly signature: Uint8Array
      /** Where the agent's connection came from, as the relay saw it. */
      readonly observed: Endpoint | undefined
      /** UDP and TCP STUN endpoints; `other` address first differs from `main` in address when the relay has two. */
      readonly stun: readonly Endpoint[]
      readonly features: readonly string[]
      /** Milliseconds since 1970. */
      readonly serverTime: number
      /** Spread over which an agent draws its reconnect delay after the line breaks, in ms. */
      readonly reconnectWindowMs: number
      /** An agent sends a `ping` when the line was silent for this long, in ms. */
      readonly keepAliveMs: number
    }
  | { readonly type: 'refused'; readonly reason: string; readonly retryAfterMs: number }
  | { readonly type: 'ticket'; readonly call: number; readonly ticket: Uint8Array }
  | { readonly type: 'call-failed'; readonly call: number; readonly reason: CallFailure }
  | { readonly type: 'ring'; readonly from: PeerId; readonly ticket: Uint8Array }
  | { readonly type: 'presence'; readonly peer: PeerId; readonly online: boolean }
  /** Another process with the same key took the line over. */
  | { readonly type: 'replaced'; readonly sameInstance: boolean; readonly by: string }
  /** The relay goes down on purpose; come back after a delay drawn from this window. */
  | { readonly type: 'going-away'; readonly reconnectWindowMs: number }
  | { readonly type: 'pong'; readonly id: number }
  | { readonly type: 'reached'; readonly check: number; readonly outcome: ReachOutcome }
  | { readonly type: 'statement'; readonly chain: Uint8Array }

/** Limits for the decoder: without them a 100-byte packet can make it allocate gigabytes. */
const LIMITS = {
  maxStrLength: 1024,
  maxBinLength: 1024,
  maxArrayLength: MAX_WATCHED_PEERS,
  maxMapLength: 32,
  maxExtLength: 0,
}
/** An entry, or one with that of its signer. */
const CHAIN_BYTES: readonly number[] = [ENTRY_BYTES, MAX_CHAIN_BYTES]
/** Ours nest three deep, a map with lists of lists; newer messages get some room. */
const MAX_DEPTH = 4

export function encodeAgentMessage(message: AgentMessage): Uint8Array {
  switch (message.type) {
    case 'hello':
      return encode({ ...message, peer: peerIdToBytes(message.peer) })
    case 'watch':
      return encode({ ...message, peers: message.peers.map(peerIdToBytes) })
    case 'call':
      return encode({ ...message, to: peerIdToBytes(message.to) })
    case 'refuse':
    case 'ping':
    case 'reach':
    case 'statement':
      return encode(message)
    case 'guests':
      return encode({ ...message, guests: message.guests.map(({ id, notAfter }) => [peerIdToBytes(id), notAfter]) })
    default:
      return message satisfies never
  }
}

export function encodeRelayMessage(message: RelayMessage): Uint8Array {
  switch (message.type) {
    case 'challenge':
      return encode({ ...message, relay: peerIdToBytes(message.relay) })
    case 'welcome': {
      const observed = message.observed ? formatEndpoint(message.observed) : null
      return encode({ ...message, observed, stun: message.stun.map(formatEndpoint) })
    }
    case 'ring':
      return encode({ ...message, from: peerIdToBytes(message.from) })
    case 'presence':
      return encode({ ...message, peer: peerIdToBytes(message.peer) })
    case 'refused':
    case 'ticket':
    case 'call-failed':
    case 'replaced':
    case 'going-away':
    case 'pong':
    case 'reached':
    case 'statement':
      return encode(message)
    default:
      return message satisfies never
  }
}

/** Undefined for a type we do not know yet (a newer peer's); throws `wire-malformed` for anything wrong. */
export function decodeAgentMessage(bytes: Uint8Array): AgentMessage | undefined {
  const field = fieldsOf(bytes)
  const type = field.text('type', 32)
  switch (type) {
    case 'hello': {
      const membership = field.optionalChain('membership')
      return {
        type,
        protocol: field.count('protocol'),
        peer: field.peer('peer'),
        nonce: field.exact('nonce', NONCE_BYTES),
        relayName: field.text('relayName', 300),
        signature: field.exact('signature', SIGNATURE_BYTES),
        software: field.plain('software', 64),
        instance: field.exact('instance', 8),
        ...(membership ? { membership } : {}),
      }
    }
    case 'watch':
      return { type, peers: field.list('peers', MAX_WATCHED_PEERS, peerOf) }
    case 'call':
      return { type, call: field.count('call'), to: field.peer('to') }
    case 'refuse':
      return { type, ticket: field.exact('ticket', TICKET_BYTES), reason: field.failure('reason') }
    case 'ping':
      return { type, id: field.count('id') }
    case 'reach':
      return {
        type,
        check: field.count('check'),
        transport: field.transport('transport'),
        port: field.port('port'),
        nonce: field.exact('nonce', REACH_NONCE_BYTES),
      }
    case 'guests':
      return { type, guests: field.list('guests', MAX_GUESTS, guestOf) }
    case 'statement':
      return { type, chain: field.chain('chain') }
    default:
      return undefined
  }
}

/** Undefined for a type we do not know yet; throws `wire-malformed` for anything wrong. */
export function decodeRelayMessage(bytes: Uint8Array): RelayMessage | undefined {
  const field = fieldsOf(bytes)
  const type = field.text('type', 32)
  switch (type) {
    case 'challenge':
      return {
        type,
        protocols: field.list('protocols', 16, (value, name) => countOf(value, name)),
        relay: field.peer('relay'),
        nonce: field.exact('nonce', NONCE_BYTES),
      }
    case 'welcome':
      return {
        type,
        signature: field.exact('signature', SIGNATURE_BYTES),
        observed: field.optionalEndpoint('observed'),
        stun: field.list('stun', 8, endpointOf),
        features: field.list('features', 32, (value, name) => textOf(value, name, 64)),
        serverTime: field.count('serverTime'),
        reconnectWindowMs: field.count('reconnectWindowMs'),
        keepAliveMs: field.count('keepAliveMs'),
      }
    case 'refused':
      return { type, reason: field.plain('reason', 300), retryAfterMs: field.count('retryAfterMs') }
    case 'ticket':
      return { type, call: field.count('call'), ticket: field.exact('ticket', TICKET_BYTES) }
    case 'call-failed':
      return { type, call: field.count('call'), reason: field.failure('reason') }
    case 'ring':
      return { type, from: field.peer('from'), ticket: field.exact('ticket', TICKET_BYTES) }
    case 'presence':
      return { type, peer: field.peer('peer'), online: field.flag('online') }
    case 'replaced':
      return { type, sameInstance: field.flag('sameInstance'), by: field.plain('by', 64) }
    case 'going-away':
      return { type, reconnectWindowMs: field.count('reconnectWindowMs') }
    case 'pong':
      return { type, id: field.count('id') }
    case 'reached':
      return { type, check: field.count('check'), outcome: field.outcome('outcome') }
    case 'statement':
      return { type, chain: field.chain('chain') }
    default:
      return undefined
  }
}

function fieldsOf(bytes: Uint8Array) {
  const map = decodeMap(bytes)
  return {
    text: (name: string, maxLength: number) => textOf(map.get(name), name, maxLength),
    /** A text that people are shown. */
    plain: (name: string, maxLength: number) => plainText(textOf(map.get(name), name, maxLength)),
    count: (name: string) => countOf(map.get(name), name),
    exact: (name: string, length: number) => bytesOf(map.get(name), name, length),
    peer: (name: string) => peerOf(map.get(name), name),
    flag(name: string): boolean {
      const value = map.get(name)
      if (typeof value !== 'boolean') throw malformed(name, 'is not a boolean')
      return value
    },
    failure(name: string): CallFailure {
      const value = textOf(map.get(name), name, 32)
      // A reason that a newer peer knows is no reason to drop the line.
      return CALL_FAILURES.find(reason => reason === value) ?? 'busy'
    },
    transport(name: string): 'tcp' | 'udp' {
      const value = map.get(name)
      if (value !== 'tcp' && value !== 'udp') throw malformed(name, 'is neither tcp nor udp')
      return value
    },
    port(name: string): number {
      const value = countOf(map.get(name), name)
      if (value === 0 || value > 65_535) throw malformed(name, 'is no port')
      return value
    },
    outcome(name: string): ReachOutcome {
      const value = textOf(map.get(name), name, 32)
      // As with failures of calls.
      return REACH_OUTCOMES.find(outcome => outcome === value) ?? 'busy'
    },
    optionalEndpoint(name: string): Endpoint | undefined {
      const value = map.get(name)
      return value === null || value === undefined ? undefined : endpointOf(value, name)
    },
    chain: (name: string) => chainOf(map.get(name), name),
    optionalChain(name: string): Uint8Array | undefined {
      const value = map.get(name)
      return value === null || value === undefined ? undefined : chainOf(value, name)
    },
    list<T>(name: string, maxLength: number, read: (value: unknown, name: string) => T): readonly T[] {
      const value = map.get(name)
      if (!Array.isArray(value) || value.length > maxLength) throw malformed(name, `is no list of up to ${maxLength}`)
      return value.map(item => read(item, name))
    },
  }
}

function decodeMap(bytes: Uint8Array): ReadonlyMap<string, unknown> {
  if (bytes.length > MAX_RELAY_MESSAGE_BYTES) throw malformed('message', `has ${bytes.length} bytes`)
  if (nestsDeeperThan(bytes, MAX_DEPTH)) throw malformed('message', `nests more than ${MAX_DEPTH} deep`)
  let value: unknown
  try {
    value = decode(bytes, LIMITS)
  } catch (cause) {
    throw new CulvertError('wire-malformed', `control message is not msgpack: ${reasonOf(cause)}`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw malformed('message', 'is no map')
  }
  return new Map(Object.entries(value))
}

function textOf(value: unknown, name: string, maxLength: number): string {
  if (typeof value !== 'string' || value.length > maxLength) throw malformed(name, `is no text of up to ${maxLength}`)
  return value
}

function countOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(name, 'is no count')
  return value
}

/** A copy: the decoder's binary is a view into the whole message. */
function bytesOf(value: unknown, name: string, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw malformed(name, `has not ${length} bytes`)
  return Uint8Array.from(value)
}

/** What is in it is looked at by who acts on it. */
function chainOf(value: unknown, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || !CHAIN_BYTES.includes(value.length)) throw malformed(name, 'is no chain')
  return Uint8Array.from(value)
}

function guestOf(value: unknown, name: string): Guest {
  if (!Array.isArray(value)) throw malformed(name, 'holds what is no guest')
  const [id, notAfter]: readonly unknown[] = value
  return { id: peerOf(id, name), notAfter: countOf(notAfter, name) }
}

function peerOf(value: unknown, name: string): PeerId {
  return peerIdFromBytes(bytesOf(value, name, PEER_ID_BYTES))
}

function endpointOf(value: unknown, name: string): Endpoint {
  const endpoint = parseEndpoint(textOf(value, name, 64))
  if (!endpoint) throw malformed(name, 'is no endpoint')
  return endpoint
}

function malformed(name: string, what: string): CulvertError {
  return new CulvertError('wire-malformed', `control message: ${name} ${what}`)
}
