import { type Endpoint, formatEndpoint } from '../../../common/wire/endpoint.ts'
import type { Situation } from '../../../common/wire/situation.ts'
import type { FilteringBehaviour } from '../../nat/behaviour.ts'
import type { Verdict } from '../../nat/reach-state.ts'
import { barrierOf, openingHere } from '../../session/obstacle.ts'
import type { NatStatus } from '../status.ts'
import { type Finding, finding } from './finding.ts'

/** What else was seen at the same look. */
export interface NatContext {
  /** Peers that only a relay reaches, and that would come in directly if this device could be reached. */
  readonly relayed: readonly string[]
  readonly reach: ReachLook | undefined
  /** One STUN address cannot tell whether strangers come in. */
  readonly filteringGuessed: boolean
  /** STUN servers are known, but of no IP version that this device has. */
  readonly outOfReach: boolean
  /** No interface is up that leads anywhere. */
  readonly noNetwork: boolean
}

/** What the network around this device is like, in the words of RFC 4787 and in those of who owns the router. */
export function natFindings(own: Situation, nat: NatStatus, context: NatContext): readonly Finding[] {
  const { reach } = context
  return [
    natFinding(own, nat, context),
    ...reachFinding(reach),
    ...carrierFinding(own),
    ...portMappingFinding(own, nat, context),
  ]
}

/**
 * Silence is the network's doing only where something else came through at the same time: a STUN server over TCP, or a
 * relay (`online`). Else the servers may just be down.
 */
export function withoutWitness(seen: Situation, online: boolean): Situation {
  const { udp, tcp } = seen
  if (online || (tcp.mapping !== 'blocked' && tcp.mapping !== 'unknown')) return seen
  const unless = <T extends string>(behaviour: T) => (behaviour === 'blocked' ? 'unknown' : behaviour)
  return {
    ...seen,
    udp: { mapping: unless(udp.mapping), filtering: unless(udp.filtering) },
    tcp: { mapping: unless(tcp.mapping) },
  }
}

/** What a relay saw that looked at a port of ours from outside. */
export interface ReachLook {
  readonly endpoint: Endpoint
  readonly verdict: Verdict
  /** Nothing has to come in there, unless its owner forwarded the port. */
  readonly forward?: true
}

function reachFinding(reach: ReachLook | undefined): readonly Finding[] {
  if (!reach || reach.verdict === 'unknown') return []
  const where = `TCP ${formatEndpoint(reach.endpoint)}`
  if (reach.verdict === 'reached') return [finding('reachable', 'ok', `a relay came in from outside at ${where}`)]
  if (reach.forward) return []
  return [
    finding('unreachable', 'note', `nothing comes in from outside at ${where}, as a relay that tried says`, {
      remedy: `let TCP ${reach.endpoint.port} in through the firewall of this machine, and of the provider`,
      gain: 'then peers come in directly over TCP, whatever stands before them',
    }),
  ]
}

function natFinding(own: Situation, nat: NatStatus, context: NatContext): Finding {
  const { udp } = own
  const { relayed, filteringGuessed, outOfReach, noNetwork } = context
  const filtering = `${udp.filtering} filtering`
  if (noNetwork) return noNetworkFinding()
  switch (barrierOf(own)) {
    case 'open':
      return finding('nat-none', 'ok', 'no NAT stands before this device, and UDP comes in from everybody')
    case 'firewall':
      if (filteringGuessed) return maybeFirewall()
      return finding(
        'nat-firewall',
        relayed.length > 0 ? 'note' : 'ok',
        `no NAT stands before this device, but a firewall does (${filtering}): ${lettingIn(udp.filtering)}`,
        relayed.length > 0 ? openingOf(own, relayed) : {},
      )
    case 'easy':
      return finding(
        'nat-endpoint-independent',
        'ok',
        `the router keeps one outside port for all destinations (${udp.mapping} mapping), so peers know where to aim; ` +
          (filteringGuessed ? GUESSED : `${lettingIn(udp.filtering)} (${filtering})`),
      )
    case 'hard':
      // Whoever comes in at that port need not foretell one.
      if (own.portOpening === 'made' && nat.portMapping.verified) {
        return finding(
          'nat-address-dependent',
          'ok',
          `the router takes another outside port for every destination (${udp.mapping} mapping), which does no harm: peers ` +
            'come in at the port that is open in it',
        )
      }
      return finding(
        'nat-address-dependent',
        'note',
        `the router takes another outside port for every destination (${udp.mapping} mapping), so peers cannot know where ` +
          'to aim: to a router of the same kind there is no direct way',
      )
    case 'no-udp':
      return finding('udp-blocked', 'note', 'this network lets no UDP out: direct paths go over TCP only', {
        remedy: 'let UDP out, if the firewall is yours',
        gain: 'then there is a second way where TCP is blocked, and one that is faster on lossy lines',
      })
    case 'web-only':
      return finding(
        'web-only',
        'note',
        'this network lets only web traffic out (no UDP, and TCP to few ports only): most peers are reached over the relay',
        {
          remedy: 'let UDP, or TCP to every port, out, if the firewall is yours',
          gain: 'then peers connect directly',
        },
      )
    default:
      if (outOfReach) return ofAnotherVersion()
      return finding('nat-unknown', 'note', 'what stands before this device is not known: no STUN server answered', {
        remedy: 'get a relay connected, or name STUN servers under "nat"',
      })
  }
}

function noNetworkFinding(): Finding {
  const text = 'this device has no network: none of its interfaces is up and has an address'
  return finding('link-down', 'problem', text, { remedy: 'plug the cable in, or join a Wi-Fi' })
}

function ofAnotherVersion(): Finding {
  const text =
    'what stands before this device is not known: no relay tells a STUN server of an IP version that this device has'
  return finding('nat-unknown', 'note', text, {
    remedy: 'name an IPv4 and an IPv6 address of the relay under its "stun.addresses"',
    gain: 'then peers can be told where to aim',
  })
}

const GUESSED = 'it lets in addresses that were sent to before; whether others, too, one STUN address cannot tell'

function maybeFirewall(): Finding {
  const text = `no NAT stands before this device, but maybe a firewall does: ${GUESSED}`
  return finding('nat-firewall', 'ok', text, {
    remedy: 'name two addresses of the relay under its "stun.addresses"',
    gain: 'then this can be told, and the right way is tried first',
  })
}

function lettingIn(filtering: FilteringBehaviour): string {
  switch (filtering) {
    case 'none':
    case 'endpoint-independent':
      return 'it lets in whoever knows that port'
    case 'address-dependent':
      return 'it lets in only addresses that were sent to before'
    case 'address-and-port-dependent':
      return 'it lets in only answers'
    default:
      return 'whom it lets in is not known'
  }
}

function carrierFinding({ carrierNat, portOpening }: Situation): readonly Finding[] {
  if (!carrierNat || portOpening === 'made') return []
  const text =
    "this connection shares its address with others (a carrier's NAT): ports that the router opens lead nowhere"
  const remedy = 'ask the provider for a public IPv4 address, or for IPv6'
  return [finding('carrier-nat', 'note', text, { remedy, gain: 'then this device can be reached from outside' })]
}

function portMappingFinding(own: Situation, nat: NatStatus, { relayed, reach }: NatContext): readonly Finding[] {
  const { portMapping } = nat
  const opening = openingOf(own, relayed)
  switch (own.portOpening) {
    case 'made': {
      const ports = [portMapping.tcp && `TCP ${portMapping.tcp}`, portMapping.udp && `UDP ${portMapping.udp}`]
      const list = ports.filter(Boolean).join(' and ')
      const text =
        portMapping.protocol === 'none'
          ? `a port forward set by hand leads ${list} to this device`
          : `the router has opened ${list} (${portMapping.protocol})`
      const made = portMapping.verified
        ? finding('port-mapping-made', 'ok', `${text}, and it was seen to work`)
        : finding('port-mapping-unverified', 'ok', `${text}; nobody has come in there yet`)
      return [made, ...otherPortFinding(portMapping.problem)]
    }
    case 'failed': {
      const fact = openingHere(own)?.fact ?? own.problem
      return [finding('port-mapping-failed', 'note', fact, opening)]
    }
    case 'absent':
      return [
        finding('port-mapping-absent', 'note', `no router here opens ports on request${noForward(reach)}`, opening),
      ]
    case 'off':
      return [
        finding(
          'port-mapping-off',
          'note',
          `the router is not asked to open ports, as the config says${noForward(reach)}`,
          opening,
        ),
      ]
    default:
      return []
  }
}

/** One of the two ports can be open and the other not. */
function otherPortFinding(problem: string | null): readonly Finding[] {
  if (problem === null) return []
  const [fact = '', ...remedies] = problem.split('; ')
  const remedy = remedies.join('; ')
  return [finding('port-mapping-failed', 'note', fact, { remedy: remedy === '' ? null : remedy })]
}

/** Said to whoever has just forwarded a port, in vain. */
function noForward(reach: ReachLook | undefined): string {
  if (!reach?.forward || reach.verdict !== 'unreached') return ''
  return `, and no port forwarded by hand leads here: a relay tried TCP ${formatEndpoint(reach.endpoint)}`
}

function openingOf(own: Situation, relayed: readonly string[]): Pick<Finding, 'remedy' | 'gain'> {
  const opening = openingHere(own)
  if (!opening) return { remedy: null, gain: null }
  const gain = relayed.length > 0 ? `then ${listOf(relayed)} directly` : anybodyOf(own)
  return { remedy: opening.remedy, gain }
}

function anybodyOf({ ipVersions }: Situation): string {
  const onlySix = ipVersions.length > 0 && !ipVersions.includes(4)
  return onlySix ? 'then peers that have IPv6 connect directly' : 'then peers behind any router connect directly'
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3)
  const more = names.length - shown.length
  const list = [...shown, ...(more > 0 ? [`${more} more`] : [])]
  if (list.length === 1) return `${list[0]} connects`
  return `${list.slice(0, -1).join(', ')} and ${list.at(-1)} connect`
}
