import type { IpVersion, Situation } from '../../common/wire/situation.ts'

/**
 * What keeps two peers from a direct path, as a pure function of what each knows of its own network.
 *
 * Between two NATs that keep one outside port for all destinations a path can be punched. One that takes another port for
 * each destination (`hard`) can be aimed at only from a side that knows its own outside port; two of them never meet.
 */
export interface Obstacle {
  readonly cause: string
  /** What would mend it; null when nothing can be named. */
  readonly remedy: string | null
  /** What the remedy would gain. */
  readonly gain: string | null
}

/** What stands before one side. `web-only`: neither UDP nor any TCP port but those of the web is let out. */
export type Barrier = 'open' | 'firewall' | 'easy' | 'hard' | 'no-udp' | 'web-only' | 'unknown'

export function barrierOf(situation: Situation | undefined): Barrier {
  if (!situation) return 'unknown'
  const { udp, tcp } = situation
  switch (udp.mapping) {
    case 'blocked':
      return tcp.mapping === 'blocked' ? 'web-only' : 'no-udp'
    case 'none':
      return udp.filtering === 'none' || udp.filtering === 'endpoint-independent' ? 'open' : 'firewall'
    case 'endpoint-independent':
      return 'easy'
    case 'address-dependent':
    case 'address-and-port-dependent':
      return 'hard'
    case 'unknown':
      return 'unknown'
    default:
      return udp.mapping satisfies never
  }
}

interface Side {
  readonly situation: Situation | undefined
  readonly barrier: Barrier
  /** Where it is, after the word router, network or firewall: `here` or `at laptop`. */
  readonly at: string
}

/** Why `name` is not reached directly, and what would help, this side's own network first. */
export function obstacleBetween(own: Situation, theirs: Situation | undefined, name: string): Obstacle {
  const here: Side = { situation: own, barrier: barrierOf(own), at: 'here' }
  const there: Side = { situation: theirs, barrier: barrierOf(theirs), at: `at ${name}` }
  const apart = apartBy(here, there)
  if (apart) return apart
  const gain = `then ${name} connects directly`
  const remedy = remedyFor(here, there)
  return { cause: causeOf(here, there), remedy, gain: remedy === null ? null : gain }
}

/** Two that have no IP version in common reach each other over nothing but a relay that has both. */
function apartBy(here: Side, there: Side): Obstacle | undefined {
  const only = ({ situation }: Side): IpVersion | undefined => {
    const [version, ...more] = situation?.ipVersions ?? []
    return more.length === 0 ? version : undefined
  }
  const [own, theirs] = [only(here), only(there)]
  if (own === undefined || theirs === undefined || own === theirs) return undefined
  const [four, six] = own === 4 ? [here, there] : [there, here]
  return {
    cause: `the network ${four.at} has only IPv4 and the network ${six.at} only IPv6, so neither can send to the other`,
    remedy: `turn on IPv6 in the router ${four.at} (ask its provider if it has none), or IPv4 ${six.at}`,
    gain: `then both have an IP version in common, and ${nameOf(there)} can be reached directly`,
  }
}

function causeOf(here: Side, there: Side): string {
  const sides = [here, there]
  const at = (barrier: Barrier) => sides.filter(side => side.barrier === barrier)
  const confined = at('web-only')
  if (confined.length > 0) {
    const networks = confined.map(side => `the network ${side.at}`).join(' and ')
    return `${networks} ${confined.length > 1 ? 'let' : 'lets'} only web traffic out: no UDP, and TCP to few ports only`
  }
  const reachable = sides.find(isReachable)
  if (reachable) {
    return `no connection comes in at ${nameOf(reachable)}, though ${wayIn(reachable)}: something on the way drops it`
  }
  const [hard, otherHard] = at('hard')
  if (hard && otherHard) {
    return 'both routers use another outside port for every destination, so neither side can aim at the other'
  }
  const other = sides.find(side => side !== hard)
  if (hard && other) {
    const words = `the router ${hard.at} uses another outside port for every destination`
    if (other.barrier === 'no-udp') return `${words}, and the network ${other.at} lets no UDP out`
    if (other.barrier === 'unknown') return `${words}, and it is not known what stands before ${nameOf(other)}`
    return `${words}, and the ${guardOf(other)} ${other.at} lets in only what was asked for`
  }
  const [mute] = at('no-udp')
  if (mute) return `the network ${mute.at} lets no UDP out, and no TCP connection came through`
  if (here.barrier === 'unknown') return 'it is not known yet what stands before this device'
  if (there.barrier === 'unknown') {
    return `the router or firewall ${there.at} lets no packet of this device in`
  }
  return `the ${guardOf(here)} here and the ${guardOf(there)} ${there.at} let no packet of the other side in`
}

/** Strangers' packets should come in there: no NAT and no firewall, or a port that the router opened. */
function isReachable({ barrier, situation }: Side): boolean {
  return barrier === 'open' || situation?.portOpening === 'made'
}

function wayIn({ situation }: Side): string {
  return situation?.portOpening === 'made' ? 'its router has opened a port' : 'it has a public address'
}

function nameOf({ at }: Side): string {
  return at === 'here' ? 'this device' : at.replace(/^at /, '')
}

function guardOf({ barrier }: Side): string {
  return barrier === 'firewall' || barrier === 'open' ? 'firewall' : 'router'
}

function remedyFor(here: Side, there: Side): string | null {
  const confined = [here, there].filter(({ barrier }) => barrier === 'web-only')
  const free = [here, there].find(({ barrier }) => barrier !== 'web-only')
  const [first] = confined
  if (first) {
    const let443 = free && portOf443(free)
    const letOut = `let UDP, or TCP to every port, out of the network ${first.at}`
    return let443 ? `${letOut}, or ${let443}` : letOut
  }
  const reachable = [here, there].find(isReachable)
  if (reachable) return `let ${portsOf(reachable)} in through the firewalls of ${nameOf(reachable)} and its provider`
  for (const side of [here, there]) {
    const opening = openingFor(side)
    if (opening) return [opening.fact, opening.remedy].filter(part => part !== null).join('; ')
  }
  const carried = [here, there].some(isBehindAnotherNat)
  return carried ? 'ask the provider of either side for a public IPv4 address, or for IPv6 on both' : null
}

/** What a router refused, if it did, and what its owner can do. */
export interface Opening {
  readonly fact: string | null
  readonly remedy: string
}

/** How this side would become reachable from outside; undefined where it is, or cannot, or where nothing is known. */
export function openingHere(own: Situation): Opening | undefined {
  const here: Side = { situation: own, barrier: barrierOf(own), at: 'here' }
  return isReachable(here) ? undefined : openingFor(here)
}

/** Whether what `openingHere` says is what keeps the two apart, and not something that no port opened here would mend. */
export function opensTheWay(own: Situation, theirs: Situation | undefined): boolean {
  const here: Side = { situation: own, barrier: barrierOf(own), at: 'here' }
  const there: Side = { situation: theirs, barrier: barrierOf(theirs), at: 'there' }
  const confined = here.barrier === 'web-only' || there.barrier === 'web-only'
  if (confined || apartBy(here, there) || isReachable(there)) return false
  return openingHere(own) !== undefined
}

function openingFor(side: Side): Opening | undefined {
  const { situation, at, barrier } = side
  if (!situation || barrier === 'unknown' || isBehindAnotherNat(side)) return undefined
  const justDo = (remedy: string): Opening => ({ fact: null, remedy })
  if (barrier === 'firewall') return justDo(`let ${portsOf(side)} in through the firewall ${at}`)
  const forward = `forward ${portsOf(side)} to ${situation.lanAddress ?? nameOf(side)} in it`
  switch (situation.portOpening) {
    case 'off':
      return justDo(
        `set "portMapping" under "nat" to true in the config ${at}, or ${forward.replace(/ in it$/, ' in the router')}`,
      )
    case 'failed':
      return { fact: factOf(situation.problem, at), remedy: adviceOf(situation.problem, forward) }
    default:
      return justDo(`turn on UPnP in the router ${at}, or ${forward}${UNLESS_SHARED}`)
  }
}

/** Where no router tells its address outside, nobody but its owner can see whether a carrier's NAT stands before it. */
const UNLESS_SHARED =
  ' (if the router shows another address of its own than the internet sees, ask the provider for a public one, or for IPv6)'

/** What the router said, without the remedy that comes after it. */
function factOf(problem: string, at: string): string {
  const [fact = ''] = problem.split('; ')
  return fact.startsWith('the router ') ? fact.replace('the router', `the router ${at}`) : `${at}: ${fact}`
}

/** What the problem's own words advise, and to forward the ports where that would help. */
function adviceOf(problem: string, forward: string): string {
  const advice = problem.split('; ').slice(1).join('; ')
  if (advice === '' || /by hand|none needed/.test(advice)) return forward
  return /second router|in front of it/.test(advice) ? advice : `${advice}, or ${forward}`
}

/** Whoever may call nothing but the web's ports can still call this side, if it answers there. */
function portOf443(side: Side): string | null {
  if (!side.situation || isBehindAnotherNat(side)) return null
  const listen = `set "listen": { "tcp": 443 } in the config ${side.at}`
  if (side.barrier === 'open') return listen
  if (side.barrier === 'firewall') return `${listen} and let TCP 443 in through the firewall`
  return `${listen} and forward TCP 443 to ${side.situation.lanAddress ?? nameOf(side)}`
}

function isBehindAnotherNat({ situation }: Side): boolean {
  return situation !== undefined && (situation.carrierNat || situation.portOpening === 'behind-nat')
}

function portsOf({ situation }: Side): string {
  const { tcp = 0, udp = 0 } = situation?.ports ?? {}
  if (tcp === udp) return `TCP and UDP ${tcp}`
  return udp === 0 ? `TCP ${tcp}` : `TCP ${tcp} and UDP ${udp}`
}
