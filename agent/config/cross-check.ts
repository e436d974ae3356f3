import { addressScope } from '../../common/wire/endpoint.ts'
import { isName } from '../../common/wire/name.ts'
import { parsePeerId } from '../../common/wire/peer-id.ts'
import { type Address, isLocalOnly, parseAddress, sameListener, UNIX_PATH_BYTES } from './address.ts'
import { type ConfigFault, formatPlace, showValue, valueAt } from './config-fault.ts'
import { NAME_RULE } from './config-schema.ts'
import { forwardTargetFault } from './forward-target.ts'
import type { JsonPath } from './json-text.ts'
import { parsePeerService } from './name.ts'
import { nearest } from './nearest.ts'

export interface CrossCheck {
  readonly faults: readonly ConfigFault[]
  readonly warnings: readonly ConfigFault[]
}

/** So many listeners are compared pair by pair; more than that is no home any more. */
const LISTENERS_LIMIT = 500

/**
 * What no single value shows: references to peers that are not there, addresses used twice, ids given twice. It works on
 * the file as written, and passes over what has a fault of its own, so that one run names every fault.
 */
export function crossCheck(written: unknown, controlSocket: string | undefined): CrossCheck {
  const faults: ConfigFault[] = []
  const warnings: ConfigFault[] = []
  const note = (list: ConfigFault[], path: JsonPath, problem: string, remedy: string) =>
    list.push({ place: formatPlace(path), value: showValue(valueAt(written, path)), problem, remedy })
  const fault = (path: JsonPath, problem: string, remedy: string) => note(faults, path, problem, remedy)
  const warn = (path: JsonPath, problem: string, remedy: string) => note(warnings, path, problem, remedy)

  for (const table of ['peers', 'services']) {
    for (const [name] of entriesOf(valueAt(written, [table]))) {
      if (!isName(name)) faults.push({ place: formatPlace([table, name]), value: showValue(name), ...NAME_RULE })
    }
  }
  checkPeers(written, fault)
  checkRelays(written, fault, warn)
  checkServices(written, fault, warn)
  checkForwards(written, fault, warn)
  checkListeners(written, controlSocket, fault)
  if (controlSocket !== undefined && Buffer.byteLength(controlSocket) > UNIX_PATH_BYTES) {
    const problem = `is ${Buffer.byteLength(controlSocket)} bytes long, and a unix socket's path has at most ${UNIX_PATH_BYTES}`
    const remedy = 'write a shorter "controlSocket", for example "/run/culvert/agent.sock"'
    faults.push({ place: 'controlSocket', value: showValue(controlSocket), problem, remedy })
  }
  return { faults, warnings }
}

type Note = (path: JsonPath, problem: string, remedy: string) => void

function checkPeers(written: unknown, fault: Note): void {
  const nameById = new Map<string, string>()
  for (const [name, peer] of entriesOf(valueAt(written, ['peers']))) {
    const id = valueAt(peer, ['id'])
    if (typeof id !== 'string') continue
    const other = nameById.get(id)
    if (other === undefined) nameById.set(id, name)
    else fault(['peers', name, 'id'], `is the id of the peer "${other}" too`, 'remove one of the two')
  }
}

function checkRelays(written: unknown, fault: Note, warn: Note): void {
  const seen = new Map<string, number>()
  for (const [index, relay] of itemsOf(valueAt(written, ['relays']))) {
    const url = valueAt(relay, ['url'])
    if (typeof url !== 'string' || !URL.canParse(url)) continue
    const parsed = new URL(url)
    const other = seen.get(parsed.href)
    if (other === undefined) seen.set(parsed.href, index)
    else fault(['relays', index, 'url'], `is the same relay as relays[${other}]`, 'remove one of the two')
    const isOpen = parsed.protocol === 'http:' || parsed.protocol === 'ws:'
    const host = parsed.hostname.replace(/^\[|\]$/g, '')
    if (isOpen && valueAt(relay, ['id']) === undefined && host !== 'localhost' && addressScope(host) !== 'loopback') {
      const problem =
        'proves itself to nobody, so others on the line could pose as it (they would see sealed bytes only)'
      warn(['relays', index, 'url'], problem, 'write "https://...", or add the "id" that the relay prints at start')
    }
  }
}

/** Only the running agent knows who is a member of its network. */
const MEMBER_WORDS = 'that works when a member of the network of this device is called so'

function checkServices(written: unknown, fault: Note, warn: Note): void {
  const names = peerNamesOf(written)
  for (const [service, option] of entriesOf(valueAt(written, ['services']))) {
    checkUnixPath(['services', service, 'target'], valueAt(option, ['target']), fault)
    const allow = valueAt(option, ['allow'])
    if (Array.isArray(allow) && allow.length === 0) {
      warn(['services', service, 'allow'], 'lets nobody in', 'write ["*"] for all peers, or remove the service')
    }
    for (const [index, entry] of itemsOf(allow)) {
      const path = ['services', service, 'allow', index]
      if (typeof entry !== 'string') continue
      const peer = entry.startsWith('peer:') ? entry.slice('peer:'.length) : undefined
      if (peer !== undefined && !names.has(peer)) {
        warn(path, `is not in "peers"; ${MEMBER_WORDS}`, knownPeer(peer, names, 'peer:', ''))
      }
    }
  }
}

function checkForwards(written: unknown, fault: Note, warn: Note): void {
  const names = peerNamesOf(written)
  const ids = new Set(entriesOf(valueAt(written, ['peers'])).map(([, peer]) => valueAt(peer, ['id'])))
  for (const [index, forward] of itemsOf(valueAt(written, ['forwards']))) {
    const listen = valueAt(forward, ['listen'])
    checkUnixPath(['forwards', index, 'listen'], listen, fault)
    const address = typeof listen === 'string' ? parseAddress(listen) : undefined
    if (address && !isLocalOnly(address)) {
      const what = address.kind === 'socks5' ? 'every service of every peer' : 'the service'
      const problem = `lets every machine that reaches this address use ${what} as if it were this one`
      warn(['forwards', index, 'listen'], problem, 'write 127.0.0.1 if only programs on this machine need it')
    }
    const to = valueAt(forward, ['to'])
    const fits = typeof to === 'string' || to === undefined
    const wrong = address && fits ? forwardTargetFault(address, to) : undefined
    if (wrong) fault(['forwards', index, 'to'], wrong.problem, wrong.remedy)
    const parts = typeof to === 'string' ? parsePeerService(to) : undefined
    if (!parts || names.has(parts.peer) || ids.has(parts.peer)) continue
    const path = ['forwards', index, 'to']
    const remedy = parsePeerId(parts.peer)
      ? 'else add that peer to "peers"'
      : knownPeer(parts.peer, names, '', `/${parts.service}`)
    warn(path, `leads to a peer that is not in "peers"; ${MEMBER_WORDS}`, remedy)
  }
}

function checkListeners(written: unknown, controlSocket: string | undefined, fault: Note): void {
  const taken: { readonly address: Address; readonly by: string }[] = []
  if (controlSocket !== undefined) taken.push({ address: { kind: 'unix', path: controlSocket }, by: 'controlSocket' })
  for (const kind of ['tcp', 'udp'] as const) {
    const port = valueAt(written, ['listen', kind])
    if (typeof port !== 'number' || port <= 0) continue
    taken.push({ address: { kind, host: '0.0.0.0', port }, by: `listen.${kind}` })
  }
  for (const [index, forward] of itemsOf(valueAt(written, ['forwards']))) {
    const listen = valueAt(forward, ['listen'])
    const address = typeof listen === 'string' ? parseAddress(listen) : undefined
    if (!address || taken.length >= LISTENERS_LIMIT) continue
    const other = taken.find(candidate => sameListener(candidate.address, address))
    if (other) fault(['forwards', index, 'listen'], `is taken by ${other.by}`, 'choose another address')
    else taken.push({ address, by: `forwards[${index}]` })
  }
}

function checkUnixPath(path: JsonPath, value: unknown, fault: Note): void {
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  if (address?.kind !== 'unix') return
  const length = Buffer.byteLength(address.path)
  if (length <= UNIX_PATH_BYTES) return
  const problem = `has a path of ${length} bytes, and a unix socket's path has at most ${UNIX_PATH_BYTES}`
  fault(path, problem, 'choose a shorter path')
}

function knownPeer(name: string, names: ReadonlySet<string>, before: string, after: string): string {
  const near = nearest(name, names)
  return near === undefined
    ? `else add "${name}": { "id": "..." } to "peers"`
    : `did you mean "${before}${near}${after}"? Otherwise add "${name}" to "peers"`
}

function peerNamesOf(written: unknown): ReadonlySet<string> {
  return new Set(entriesOf(valueAt(written, ['peers'])).map(([name]) => name))
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

function itemsOf(value: unknown): readonly (readonly [number, unknown])[] {
  return Array.isArray(value) ? [...value.entries()] : []
}
