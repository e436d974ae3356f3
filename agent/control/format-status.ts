import { plainText } from '../../common/wire/plain-text.ts'
import type { AgentStatus, ForwardStatus, NatStatus, PathStatus, PeerStatus, RelayStatus } from './status.ts'

/** A status as a page for people: who we are, how the outside reaches us, one row per peer, what is offered and taken. */
export function formatStatus(status: AgentStatus): string {
  const head = `${plain(status.peer.name)}  ${plain(status.peer.id)}\nculvert ${plain(status.version)}, up ${formatDuration(status.uptimeS)}\n`
  const sections = [
    formatTable(['RELAY', 'STATE', 'RTT', ''], status.relays.map(relayRow)),
    formatNat(status.nat),
    formatPeers(status.peers),
    formatTable(
      ['SERVICE', 'TARGET'],
      status.services.map(({ name, target }) => [name, target]),
    ),
    formatTable(['FORWARD', 'TO', 'STATE'], status.forwards.map(forwardRow)),
  ]
  return [head, ...sections.filter(section => section !== '')].join('\n')
}

/** The rows of `culvert peers`, with a line below a peer that could be reached better. */
export function formatPeers(peers: readonly PeerStatus[]): string {
  if (peers.length === 0) return ''
  const table = formatTable(['PEER', 'STATE', 'PATH', 'RTT', 'SINCE', 'STREAMS', 'IN', 'OUT'], peers.map(peerRow))
  const lines = table.split('\n')
  const noted = peers.map((peer, index) => [lines[index + 1] ?? '', ...noteOf(peer)].join('\n'))
  return [lines[0] ?? '', ...noted, ''].join('\n')
}

function relayRow(relay: RelayStatus): readonly string[] {
  return [relay.url, relay.state, formatMs(relay.rttMs), relay.lastError ?? '']
}

function forwardRow(forward: ForwardStatus): readonly string[] {
  return [forward.listen, forward.to, forward.state]
}

function peerRow(peer: PeerStatus): readonly string[] {
  const { path } = peer
  const since = path ? formatDuration(path.sinceS) : '-'
  const [bytesIn, bytesOut] = [formatBytes(peer.bytesIn), formatBytes(peer.bytesOut)]
  return [
    peer.name,
    peer.state,
    formatPath(path),
    formatMs(path?.rttMs ?? null),
    since,
    String(peer.streams),
    bytesIn,
    bytesOut,
  ]
}

/** A direct path over TCP needs no words; everything else is worth its reason. */
function noteOf(peer: PeerStatus): readonly string[] {
  if (peer.path?.kind === 'tcp' && peer.remedy === null) return []
  return [peer.why, peer.remedy ?? ''].filter(line => line !== '').map(line => `    ${plain(line)}`)
}

/** `tcp punched 203.0.113.5:4000`, or `-`. */
export function formatPath(path: Pick<PathStatus, 'kind' | 'transport' | 'how' | 'remote'> | null): string {
  if (!path) return '-'
  if (path.kind === 'relay') return path.remote === null ? 'relay' : `relay ${path.remote}`
  const transport = path.transport === path.kind ? path.kind : `${path.kind}/${path.transport}`
  return [transport, path.how, path.remote ?? ''].filter(part => part !== '').join(' ')
}

function formatNat(nat: NatStatus): string {
  const rows = [
    ['UDP', nat.udp.mapping, nat.udp.filtering, nat.udp.address ?? '-'],
    ['TCP', nat.tcp.mapping, '', nat.tcp.address ?? '-'],
  ]
  const { protocol, tcp, udp, verified, problem } = nat.portMapping
  const ports = [tcp === null ? '' : `tcp ${tcp}`, udp === null ? '' : `udp ${udp}`]
    .filter(port => port !== '')
    .join(', ')
  const state = ports === '' ? 'none' : `${ports} (${protocol}, ${verified ? 'seen to work' : 'not yet seen to work'})`
  const mapping = `${plain(`Port mapping: ${state}${problem === null ? '' : `; ${problem}`}`)}\n`
  const carrier = nat.carrierNat
    ? "Behind a carrier's NAT: a port mapping of the router does not reach the outside.\n"
    : ''
  return formatTable(['NAT', 'MAPPING', 'FILTERING', 'OUTSIDE'], rows) + mapping + carrier
}

/** Columns as wide as their widest cell, two spaces between them; empty when there are no rows. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const cells = [head, ...rows].map(row => row.map(plain))
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  const lines = cells.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`
}

/** Names and reasons come from others: none of them may drive the terminal or forge a row. */
function plain(text: string): string {
  return plainText(text).slice(0, 300)
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
