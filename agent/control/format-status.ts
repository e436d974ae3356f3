import type {
  AgentStatus,
  ForwardStatus,
  NatStatus,
  NetworkStatus,
  PathStatus,
  PeerRelayStatus,
  PeerStatus,
  RelayStatus,
  StrangerStatus,
} from './status.ts'
import { sentence, wrap } from './text-layout.ts'
import { type Cell, formatTable, type PageStyle, PLAIN_PAGE, paint, plain, type Tone } from './text-table.ts'

/** Few people read longer lines well, however wide their terminal. */
const MAX_TEXT_WIDTH = 100

/** A status as a page for people: who we are, how the outside reaches us, one row per peer, what is offered and taken. */
export function formatStatus(status: AgentStatus, style: PageStyle = PLAIN_PAGE): string {
  const name = paint(plain(status.peer.name), 'head', style)
  const up = `culvert ${plain(status.version)}, up ${formatDuration(status.uptimeS)}`
  const head = `${name}  ${plain(status.peer.id)}\n${[up, ...summaryOf(status.peers)].join('; ')}\n`
  const sections = [
    formatRelays(status.relays, style),
    formatNat(status.nat, style),
    formatNetwork(status.network, style),
    formatPeers(status.peers, style),
    formatPeerRelay(status.peerRelay, style),
    formatStrangers(status.strangers, style),
    formatTable(
      [{ title: 'SERVICE' }, { title: 'TARGET' }],
      status.services.map(({ name, target }) => [name, target]),
      style,
    ),
    formatTable(
      [{ title: 'FORWARD' }, { title: 'TO' }, { title: 'STATE', dispensable: 1 }],
      status.forwards.map(({ listen, to, state }) => [listen, to, cell(state, state === 'failed' ? 'bad' : 'plain')]),
      style,
      row => note(forwardFault(status.forwards[row]), '', style),
    ),
  ]
  return [head, ...sections.filter(section => section !== '')].join('\n')
}

/** The rows of `culvert peers`, with lines below a peer that could be reached better. */
export function formatPeers(peers: readonly PeerStatus[], style: PageStyle = PLAIN_PAGE): string {
  const withRoles = peers.some(peer => rolesOf(peer) !== '')
  const columns = [
    { title: 'PEER' },
    { title: 'STATE' },
    { title: 'PATH' },
    { title: 'RTT', dispensable: 5 },
    { title: 'SINCE', dispensable: 2 },
    { title: 'STREAMS', dispensable: 1 },
    { title: 'IN', dispensable: 3 },
    { title: 'OUT', dispensable: 4 },
    ...(withRoles ? [{ title: 'ROLES', dispensable: 1.5 }] : []),
  ]
  return formatTable(
    columns,
    peers.map(peer => peerRow(peer, withRoles)),
    style,
    row => noteOf(peers[row], style),
  )
}

/** Who uses our line to meet whom. */
function formatPeerRelay(relay: PeerRelayStatus | null, style: PageStyle): string {
  if (!relay) return ''
  const rows = relay.carried.map(({ from, to, bytes, sinceS }) => [
    from,
    to,
    formatBytes(bytes),
    formatDuration(sinceS),
  ])
  const { dayBytes, gbPerDay, mbit, pipes } = relay
  const limits = `${formatBytes(dayBytes)} of ${gbPerDay} GB in 24 h; at most ${mbit} Mbit/s, ${pipes} pipes`
  const limit = style.width === Number.POSITIVE_INFINITY ? style.width : Math.min(style.width, MAX_TEXT_WIDTH)
  const columns = [{ title: 'CARRIED FOR' }, { title: 'TO' }, { title: 'BYTES' }, { title: 'SINCE', dispensable: 1 }]
  return `${formatTable(columns, rows, style)}${wrap(`Carries for peers: ${limits}`, limit - 2, '  ')}\n`
}

function formatStrangers(strangers: readonly StrangerStatus[], style: PageStyle): string {
  const limit = style.width === Number.POSITIVE_INFINITY ? style.width : Math.min(style.width, MAX_TEXT_WIDTH) - 2
  const words = ({ id, agoS }: StrangerStatus) =>
    `${plain(id)} called ${formatDuration(agoS)} ago and is not in "peers": if it is yours, add it there.`
  return strangers.map(stranger => `${wrap(words(stranger), limit, '  ')}\n`).join('')
}

function forwardFault(forward: ForwardStatus | undefined): string | null {
  if (!forward) return null
  const { problem, lastFailure } = forward
  if (problem !== null || lastFailure === null) return problem
  return `the last use failed ${formatDuration(lastFailure.agoS)} ago: ${lastFailure.reason}`
}

/** `3 peers: 1 direct, 1 over a relay, 1 offline`. */
function summaryOf(peers: readonly PeerStatus[]): readonly string[] {
  if (peers.length === 0) return []
  const count = (what: string, holds: (peer: PeerStatus) => boolean) => {
    const number = peers.filter(holds).length
    return number === 0 ? [] : [`${number} ${what}`]
  }
  const parts = [
    ...count('direct', ({ path }) => path !== null && path.kind !== 'relay'),
    ...count('over a relay', ({ path }) => path?.kind === 'relay'),
    ...(['connecting', 'idle', 'offline', 'refused'] as const).flatMap(state =>
      count(state, peer => peer.path === null && peer.state === state),
    ),
  ]
  return [`${peers.length} ${peers.length === 1 ? 'peer' : 'peers'}: ${parts.join(', ')}`]
}

function formatRelays(relays: readonly RelayStatus[], style: PageStyle): string {
  const tones = { connected: 'good', connecting: 'fair', refused: 'bad' } as const
  const rows = relays.map(({ url, state, rttMs }) => [url, cell(state, tones[state]), formatMs(rttMs)])
  return formatTable([{ title: 'RELAY' }, { title: 'STATE' }, { title: 'RTT', dispensable: 1 }], rows, style, row =>
    note(relays[row]?.lastError ?? null, '', style),
  )
}

function peerRow(peer: PeerStatus, withRoles: boolean): readonly (Cell | string)[] {
  const { path } = peer
  return [
    peer.name,
    cell(peer.state, toneOf(peer)),
    formatPath(path),
    formatMs(path?.rttMs ?? null),
    path ? formatDuration(path.sinceS) : '-',
    String(peer.streams),
    formatBytes(peer.bytesIn),
    formatBytes(peer.bytesOut),
    ...(withRoles ? [rolesOf(peer)] : []),
  ]
}

function rolesOf({ member }: PeerStatus): string {
  return member ? [...(member.admin ? ['admin'] : []), ...member.roles].join(', ') : ''
}

/** `Network hogdyhrbv3: 3 members; this device is an admin.` */
function formatNetwork(network: NetworkStatus | null, style: PageStyle): string {
  if (!network) return ''
  const { id, standing, members, admin, root, problem } = network
  const count = `${members} ${members === 1 ? 'member' : 'members'}`
  const right = root ? 'this device holds its key' : 'this device is an admin'
  const words = standing === 'member' ? [count, ...(admin ? [right] : [])].join('; ') : plain(standing)
  return `Network ${plain(id).slice(0, 10)}: ${words}.\n${note(problem, '', style)}`
}

function toneOf({ state, path }: PeerStatus): Tone {
  if (path) return path.kind === 'relay' ? 'fair' : 'good'
  return state === 'refused' ? 'bad' : state === 'connecting' ? 'fair' : 'quiet'
}

/** A direct path over TCP needs no words, nor does a peer with which nothing goes on; all else is worth its reason. */
function noteOf(peer: PeerStatus | undefined, style: PageStyle): string {
  if (!peer || ((peer.path?.kind === 'tcp' || peer.state === 'idle') && peer.remedy === null)) return ''
  return `${note(peer.why, '', style)}${note(lastWord(peer), '', style)}${note(peer.remedy, '> ', style)}`
}

/** Of a peer that is not reached: how old what is known of its place is. */
function lastWord({ path, state, knownFrom }: PeerStatus): string | null {
  if (path || state === 'idle') return null
  const told = knownFrom.filter(({ ageS }) => ageS !== null).toSorted((a, b) => (a.ageS ?? 0) - (b.ageS ?? 0))[0]
  if (!told || told.source === 'relay') return null
  return `where it is was last said ${formatDuration(told.ageS ?? 0)} ago (${told.source})`
}

function note(text: string | null, mark: string, style: PageStyle): string {
  if (text === null) return ''
  const width = Math.min(style.width, MAX_TEXT_WIDTH) - 4 - mark.length
  const limit = style.width === Number.POSITIVE_INFINITY ? style.width : Math.max(20, width)
  return `    ${mark}${wrap(sentence(plain(text)), limit, ' '.repeat(4 + mark.length))}\n`
}

/** `tcp punched 203.0.113.5:4000`, or `-`. */
export function formatPath(path: Pick<PathStatus, 'kind' | 'transport' | 'how' | 'remote' | 'via'> | null): string {
  if (!path) return '-'
  if (path.kind === 'relay' && path.via !== null) return `relay ${plain(path.via)}`
  if (path.kind === 'relay') return path.remote === null ? 'relay' : `relay ${path.remote}`
  const transport = path.transport === path.kind ? path.kind : `${path.kind}/${path.transport}`
  return [transport, path.how, path.remote ?? ''].filter(part => part !== '').join(' ')
}

/** The NAT is looked at every ten minutes. */
const SEEN_LATELY_S = 15 * 60

function formatNat(nat: NatStatus, style: PageStyle): string {
  const rows = [
    ['UDP', nat.udp.mapping, nat.udp.filtering, nat.udp.address ?? '-'],
    ['TCP', nat.tcp.mapping, '', nat.tcp.address ?? '-'],
  ]
  const { protocol, tcp, udp, verified, problem } = nat.portMapping
  const ports = [tcp === null ? '' : `tcp ${tcp}`, udp === null ? '' : `udp ${udp}`]
    .filter(port => port !== '')
    .join(', ')
  const by = protocol === 'none' ? 'forwarded by hand' : protocol
  const state = ports === '' ? 'none' : `${ports} (${by}, ${verified ? 'seen to work' : 'not yet seen to work'})`
  const lines = [
    nat.seenAgoS !== null && nat.seenAgoS > SEEN_LATELY_S
      ? `Seen ${formatDuration(nat.seenAgoS)} ago; no STUN server answers now.`
      : '',
    `Port mapping: ${state}${problem === null ? '' : `; ${problem}`}`,
    nat.carrierNat ? "Behind a carrier's NAT: a port mapping of the router does not reach the outside." : '',
  ]
  const columns = [
    { title: 'NAT' },
    { title: 'MAPPING' },
    { title: 'FILTERING', dispensable: 1 },
    { title: 'OUTSIDE', dispensable: 2 },
  ]
  const limit = style.width === Number.POSITIVE_INFINITY ? style.width : Math.min(style.width, MAX_TEXT_WIDTH)
  const shown = lines.filter(line => line !== '').map(line => `${wrap(plain(line), limit - 2, '  ')}\n`)
  return formatTable(columns, rows, style) + shown.join('')
}

function cell(text: string, tone: Tone): Cell {
  return { text, tone }
}

function formatMs(ms: number | null): string {
  if (ms === null) return '-'
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

/** `12 s`, `3 min`, `5 h 2 min`, `9 d 4 h`: two units at most. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min`
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`
}

/** Decimal units, as link rates are told: `0 B`, `12.3 kB`, `4.5 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.max(0, Math.round(bytes))} B`
  const units = ['kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(value < 99.95 ? 1 : 0)} ${units[unit] ?? ''}`
}
