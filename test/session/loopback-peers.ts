import { ProbeBudget } from '../../agent/nat/probe-budget.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { listenForPaths } from '../../agent/path/tcp-listener.ts'
import { AddressSources } from '../../agent/rendezvous/address-source.ts'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { type MemoryEntry, PathMemory, rememberedAddresses } from '../../agent/session/path-memory.ts'
import type { Peer } from '../../agent/session/peer.ts'
import type { PeerContext } from '../../agent/session/peer-context.ts'
import { Peers } from '../../agent/session/peers.ts'
import { SearchGate } from '../../agent/session/search-gate.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { relayOptionsOf } from '../../relay/options.ts'
import { type Relay, startRelay } from '../../relay/relay.ts'
import { guarded } from '../guard.ts'
import { NO_SITUATION } from '../vectors/situations.ts'

/** A real relay on a free loopback port, in this process, without STUN. */
export async function startLoopbackRelay(options: Readonly<Record<string, unknown>> = {}): Promise<Relay> {
  const parsed = relayOptionsOf({
    listen: '127.0.0.1:0',
    stun: false,
    admin: null,
    stateDir: '/nonexistent',
    ...options,
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults))
  const log = createLog({ level: 'error', style: 'words', write: () => undefined })
  return startRelay(parsed.options, { clock: systemClock, random: systemRandom, log, key: generateKeyPair() })
}

export interface LoopbackPeer extends AsyncDisposable {
  readonly key: KeyPair
  readonly peers: Peers
  readonly rendezvous: Rendezvous
  readonly memory: PathMemory
  readonly sources: AddressSources
  /** Where paths come in. */
  readonly port: number
  /** The log's lines so far. */
  readonly lines: readonly string[]
  peer(id: PeerId): Peer
  /** Resolves at the next change for which this holds. */
  until(holds: () => boolean): Promise<void>
}

interface LoopbackRelayEnd {
  readonly port: number
  readonly id?: PeerId
  readonly proxy?: URL
}

export interface LoopbackPeerOptions {
  readonly key?: KeyPair
  /** None: no relay at all. */
  readonly relay: LoopbackRelayEnd | readonly LoopbackRelayEnd[]
  readonly trusts: readonly PeerId[]
  /** Members of its network, who come and go. */
  readonly members?: Set<PeerId>
  /** Offers its TCP listener on 127.0.0.1 as a candidate. Default: relay paths only. */
  readonly direct?: boolean
  readonly keep?: boolean
  readonly graceMs?: number
  readonly remembers?: readonly MemoryEntry[]
  /** A ring is answered only after this. */
  readonly beforeAnswer?: () => Promise<void>
  readonly records?: PeerContext['records']
  /** Whom it asks for pipes. */
  readonly pipes?: PeerContext['pipes']
  readonly onStream?: (stream: SessionStream, peer: PeerId) => void
}

/** The agent's own rendezvous, path and session stages, put together without NAT, config and control. */
export async function startLoopbackPeer(options: LoopbackPeerOptions): Promise<LoopbackPeer> {
  const key = options.key ?? generateKeyPair()
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const sealer = createSealer(key, systemClock)
  const trusted = new Set(options.trusts)
  const watchers = new Set<() => void>()
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  const listener = await listenForPaths({
    port: 0,
    ownId: key.id,
    sealer,
    clock: systemClock,
    log,
    isTrusted: id => trusted.has(id) || options.members?.has(id) === true,
    onPath: path => peers.attach(path),
  })
  const rendezvous = new Rendezvous({
    relays: [options.relay]
      .flat()
      .map(({ port, id, proxy }) => relayAddress(new URL(`http://127.0.0.1:${port}`), id, proxy)),
    identity: key,
    clock: systemClock,
    random: systemRandom,
    log,
    software: 'test',
    instance: systemRandom.bytes(8),
    addresses: () => ['127.0.0.1'],
    isTrusted: id => trusted.has(id) || options.members?.has(id) === true,
    onCall: call => {
      if (options.beforeAnswer) void options.beforeAnswer().then(() => peers.answer(call))
      else peers.answer(call)
    },
    onPresence: (id, online) => peers.get(id)?.onPresence(online),
    onLost: () => peers.check(),
    onChange: changed,
  })
  const memory = new PathMemory(
    () => 'loopback',
    options.remembers ?? [],
    () => undefined,
  )
  const sources = new AddressSources()
  sources.add(rememberedAddresses(memory))
  const context: PeerContext = {
    ownId: key.id,
    sealer,
    clock: systemClock,
    random: systemRandom,
    log,
    budget: new WindowBudget(64 << 20),
    memory,
    sources,
    ...(options.pipes ? { pipes: options.pipes } : {}),
    ...(options.records ? { records: options.records } : {}),
    ports: undefined,
    probes: new ProbeBudget(systemClock),
    graceMs: () => options.graceMs ?? 0,
    rendezvous: () => rendezvous,
    candidates: () =>
      options.direct
        ? [{ kind: 'tcp', how: 'lan', endpoint: { address: '127.0.0.1', port: listener.port } } as const]
        : [],
    situation: () => NO_SITUATION,
    isOwnAddress: () => false,
    isOnThisMachine: () => false,
    stunServers: () => [],
    udp: () => undefined,
    hardTcpNat: () => false,
    onObstacle: () => undefined,
    onSuspect: () => undefined,
    hardUdpNat: () => false,
    searchGate: new SearchGate(systemClock, log),
    nameOf: id => id.slice(0, 10),
    onStream: (peer, stream) => options.onStream?.(stream, peer),
    onChange: changed,
  }
  const { members = new Set<PeerId>() } = options
  const peers = new Peers(context, { isMember: id => members.has(id), members: () => members })
  sources.onLearnt(id => peers.onAddress(id))
  peers.update(options.trusts.map(id => ({ id, name: id.slice(0, 10), keep: options.keep ?? false })))
  return {
    key,
    peers,
    rendezvous,
    memory,
    sources,
    port: listener.port,
    lines,
    peer(id) {
      const found = peers.get(id)
      if (!found) throw new Error(`no peer ${id}`)
      return found
    },
    until(holds) {
      const held = new Promise<void>(resolve => {
        const look = () => {
          if (!holds()) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      })
      return guarded(held, () => `${holds}\n${lines.slice(-40).join('')}`)
    },
    async [Symbol.asyncDispose]() {
      peers.close()
      rendezvous.close()
      await listener.close()
    },
  }
}
