import type { CulvertError } from '../../common/errors.ts'
import type { MappingBehaviour } from '../nat/behaviour.ts'
import type { PathFacts } from '../path/path.ts'
import type { PeerState } from './peer.ts'

/** What the explanation of one peer's path is drawn from. */
export interface WhyInput {
  readonly state: PeerState
  readonly path: PathFacts | undefined
  /** Why each direct way failed the last time, by way. */
  readonly faults: ReadonlyMap<string, string>
  readonly trying: boolean
  readonly lastError: CulvertError | undefined
  readonly hasRelay: boolean
  /** Why no relay is connected; null when one is, or none is configured. */
  readonly relayProblem: string | null
  readonly portMappingProblem: string | null
  /** What the NAT in front of this machine does with UDP. */
  readonly udpMapping: MappingBehaviour
}

export interface Why {
  readonly why: string
  /** What would make it better; null when nothing has to be. */
  readonly remedy: string | null
}

const CHECK_RELAY = 'check that the relay runs, that its port is open, and that "relays" names it rightly'

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
  if (path && path.kind !== 'relay') {
    return { why: `direct over ${path.kind.toUpperCase()}: ${HOW_WORDS[path.how]}`, remedy: null }
  }
  if (path) return explainRelayed(input)
  switch (state) {
    case 'refused':
      return {
        why: 'the peer refuses this device',
        remedy: 'add the id of this device (culvert id) to "peers" on the other side',
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
        ? { why: input.lastError.message, remedy: remedyOf(input) }
        : { why: 'a path is being made', remedy: null }
    default:
      return state satisfies never
  }
}

function explainOffline({ lastError, hasRelay }: WhyInput): Why {
  if (!lastError || lastError.code === 'peer-offline') {
    return {
      why: 'the peer is not connected to any relay that this device uses, or does not name this device in its peers',
      remedy: 'start culvert there, and check that both name each other with the right id',
    }
  }
  if (lastError.code !== 'relay-unreachable') return { why: lastError.message, remedy: null }
  const remedy = hasRelay
    ? 'check that the relay runs and that "relays" names it rightly'
    : 'add a relay under "relays"'
  return { why: `no relay can be reached: ${lastError.message}`, remedy }
}

function explainRelayed(input: WhyInput): Why {
  if (input.trying && input.faults.size === 0)
    return { why: 'relayed while direct paths are being tried', remedy: null }
  const tried = triedWays(input.faults)
  return { why: `relayed: ${causeOf(input)}${tried ? ` (${tried})` : ''}`, remedy: remedyOf(input) }
}

function causeOf({ udpMapping }: WhyInput): string {
  switch (udpMapping) {
    case 'blocked':
      return 'this network lets no UDP out, and no TCP address of the peer is open'
    case 'address-and-port-dependent':
    case 'address-dependent':
      return 'the router here uses another outside port for every destination, so the peer cannot aim at it'
    default:
      return 'the router or firewall on the other side lets no packet of this device in'
  }
}

function triedWays(faults: ReadonlyMap<string, string>): string {
  const tcp = [...faults.keys()].filter(way => way !== 'udp').length
  const udp = faults.get('udp')
  return [udp ? `UDP: ${udp}` : '', tcp > 0 ? `TCP: none of ${tcp} addresses answered` : '']
    .filter(text => text !== '')
    .join('; ')
}

function remedyOf(input: WhyInput): string | null {
  if (input.portMappingProblem) return input.portMappingProblem
  if (!input.hasRelay) return 'add a relay under "relays"'
  if (input.path) return 'turn on UPnP in the router of either side, or forward a TCP port to one of the devices'
  return null
}
