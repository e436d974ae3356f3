import type { CulvertError } from '../../common/errors.ts'
import type { Situation } from '../../common/wire/situation.ts'
import type { PathFacts } from '../path/path.ts'
import { obstacleBetween } from './obstacle.ts'
import type { PeerState } from './peer.ts'

/** What the explanation of one peer's path is drawn from. */
export interface WhyInput {
  /** What this device calls the peer. */
  readonly name: string
  readonly state: PeerState
  readonly path: PathFacts | undefined
  /** Of the path, where something waits too long for an answer; undefined while it lives. */
  readonly silentMs: number | undefined
  /** Why each direct way failed the last time, by way. */
  readonly faults: ReadonlyMap<string, string>
  readonly trying: boolean
  readonly lastError: CulvertError | undefined
  /** Relays take the calls, and no handshake comes about. */
  readonly mute: boolean
  readonly hasRelay: boolean
  /** Why no relay is connected; null when one is, or none is configured. */
  readonly relayProblem: string | null
  /** What stands before each side; undefined while the peer has not told. */
  readonly own: Situation
  readonly theirs: Situation | undefined
}

export interface Why {
  readonly why: string
  /** What would make it better; null when nothing has to be. */
  readonly remedy: string | null
}

const CHECK_RELAY = 'check that the relay runs, that its port is open, and that "relays" names it rightly'

const ADD_RELAY = 'bring both into one network, or add a relay under "relays"'

const SMALLER_PACKETS =
  'run "culvert doctor" on both sides; MSS clamping in the router of that line helps, or its MTU set right, or a relay ' +
  'whose host keeps its TCP segments small (README: "Lines that swallow large packets")'

const NEW_IDENTITY =
  'give each device an identity of its own: remove identity.key on the copy, and run "culvert id" there'

const HOW_WORDS: Readonly<Record<PathFacts['how'], string>> = {
  lan: 'both are on the same network',
  public: 'one side has a public address',
  ipv6: 'both have IPv6',
  mapped: 'a router maps a port to one side',
  punched: 'both routers let answers to outgoing packets in',
  relay: 'a relay forwards sealed bytes',
}

/** Why the peer is reached the way it is, in words that a router's owner understands. */
export function explain(input: WhyInput): Why {
  const { state, path } = input
  if (path && input.silentMs !== undefined) {
    return {
      why: `nothing came over this path for ${formatS(input.silentMs)}; another one is looked for`,
      remedy: null,
    }
  }
  if (path && path.kind !== 'relay') {
    return { why: `direct over ${path.kind.toUpperCase()}: ${HOW_WORDS[path.how]}`, remedy: null }
  }
  if (path) return explainRelayed(input)
  if (input.mute && input.relayProblem === null && (state === 'connecting' || state === 'offline')) {
    const why =
      'the relay takes the calls, but no handshake with the peer comes through: ' +
      'if that lasts, the line here or there swallows large packets (MTU)'
    return { why, remedy: SMALLER_PACKETS }
  }
  switch (state) {
    case 'refused':
      if (input.lastError?.message.includes('same identity')) {
        return { why: input.lastError.message, remedy: NEW_IDENTITY }
      }
      return {
        why: 'the peer refuses this device',
        remedy:
          'add the id of this device (culvert id) to "peers" on the other side; ' +
          'if both were members of one network, this device may have been removed: an admin of it knows',
      }
    case 'offline':
      return explainOffline(input)
    case 'idle':
      if (input.relayProblem !== null)
        return { why: `no relay is connected: ${input.relayProblem}`, remedy: CHECK_RELAY }
      return { why: 'nothing is being exchanged; the path is made when it is needed', remedy: null }
    case 'connecting':
    case 'connected':
      return input.lastError
        ? { why: input.lastError.message, remedy: input.hasRelay ? null : ADD_RELAY }
        : { why: 'a path is being made', remedy: null }
    default:
      return state satisfies never
  }
}

function formatS(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1000))} s`
}

function explainOffline({ lastError, hasRelay }: WhyInput): Why {
  if (!lastError || lastError.code === 'peer-offline') {
    return {
      why: 'the peer is not connected to any relay that this device uses, or does not know this device',
      remedy: 'start culvert there, and check that both are of one network, or name each other with the right id',
    }
  }
  if (lastError.code !== 'relay-unreachable') return { why: lastError.message, remedy: null }
  if (!hasRelay) return { why: lastError.message, remedy: ADD_RELAY }
  const remedy = 'check that the relay runs and that "relays" names it rightly'
  return { why: `no relay can be reached: ${lastError.message}`, remedy }
}

function explainRelayed(input: WhyInput): Why {
  if (input.trying && input.faults.size === 0)
    return { why: 'relayed while direct paths are being tried', remedy: null }
  const { cause, remedy, gain } = obstacleBetween(input.own, input.theirs, input.name)
  return { why: `relayed: ${cause}`, remedy: remedy === null || gain === null ? remedy : `${remedy}: ${gain}` }
}
