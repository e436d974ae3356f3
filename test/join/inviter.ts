import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { guestOf } from '../../agent/join/guest-key.ts'
import { type Admission, JoinDesk } from '../../agent/join/join-desk.ts'
import { type JoinOptions, joinNetwork } from '../../agent/join/join-network.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { listenForPaths } from '../../agent/path/tcp-listener.ts'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { InviteBook } from '../../agent/trust/invite-book.ts'
import type { Invite } from '../../agent/trust/invites.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { signEntry } from '../../common/platform/membership-proof.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { InviteCode } from '../../common/wire/invite-code.ts'
import { encodeDetails, hashOfDetails, memberDetails } from '../../common/wire/member-details.ts'
import { encodeStatement } from '../../common/wire/member-statement.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

const NOW = 1_800_000_000
export const SECRET = Buffer.alloc(32, 7)

/** One who invites: the real listener, rendezvous, book and desk, and a network whose root key it has. */
export interface Inviter {
  readonly key: KeyPair
  readonly root: KeyPair
  readonly port: number
  readonly lines: readonly string[]
  readonly members: ReadonlyMap<PeerId, string>
  readonly book: InviteBook
  /** Seconds that its clock is behind or before. */
  skewS: number
  mayAdmit: boolean
  readonly removed: Set<PeerId>
  /** Until this resolves the relay does not know it. */
  readonly online: Promise<void>
  invite(wish?: Partial<Omit<Invite, 'guest'>>): Promise<InviteCode>
}

export async function startInviter(t: ExecutionContext, relayPort?: number): Promise<Inviter> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-invite-'))
  const [key, root] = [generateKeyPair(), generateKeyPair()]
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: text => lines.push(text) })
  const clock: Clock = { ...systemClock, wallNow: () => (NOW + inviter.skewS) * 1000 }
  const sealer = createSealer(key, clock)
  const members = new Map<PeerId, string>()
  const stop = new AbortController()
  const book = await InviteBook.open({ directory, clock, log, onChange: () => undefined })
  const statement = (peer: PeerId, name: string) => {
    const details = memberDetails(name, [], systemRandom)
    const body = {
      network: root.id,
      peer,
      version: 1,
      grant: 0,
      issuedAt: NOW,
      notAfter: 0,
      removed: false,
      admin: false,
      details: hashOfDetails(encodeDetails(details)),
    }
    return new Uint8Array(encodeStatement({ entry: signEntry(body, root), details }))
  }
  const admission: Admission = {
    network: root.id,
    get mayAdmit() {
      return inviter.mayAdmit
    },
    isRemoved: peer => inviter.removed.has(peer),
    admit(peer, name) {
      members.set(peer, name)
      return Promise.resolve({ secret: SECRET, statements: [statement(peer, name)] })
    },
  }
  const desk = new JoinDesk({
    ownId: key.id,
    sealer,
    clock,
    log,
    invites: book,
    admission: () => admission,
    signal: stop.signal,
  })
  const knows = (id: PeerId) => book.knows(id)
  const listener = await listenForPaths({
    port: 0,
    ownId: key.id,
    sealer,
    clock,
    log,
    isTrusted: knows,
    onPath: path => void desk.serve(path),
  })
  const connected = Promise.withResolvers<void>()
  const rendezvous = new Rendezvous({
    relays:
      relayPort === undefined ? [] : [relayAddress(new URL(`http://127.0.0.1:${relayPort}`), undefined, undefined)],
    identity: key,
    clock,
    random: systemRandom,
    log,
    software: 'test',
    instance: systemRandom.bytes(8),
    addresses: () => ['127.0.0.1'],
    isTrusted: knows,
    onCall: call => void desk.answer(call),
    onPresence: () => undefined,
    onLost: () => undefined,
    onChange: () => rendezvous.connected && connected.resolve(),
  })
  t.teardown(async () => {
    stop.abort()
    rendezvous.close()
    await listener.close()
    await rm(directory, { recursive: true, force: true })
  })
  const inviter: Inviter = {
    key,
    root,
    port: listener.port,
    lines,
    members,
    book,
    skewS: 0,
    mayAdmit: true,
    removed: new Set(),
    online: connected.promise,
    async invite(wish = {}) {
      const secret = systemRandom.bytes(16)
      const guest = guestOf(secret).id
      const made = await book.add({ guest, name: undefined, roles: [], expiresAt: NOW + 86_400, ...wish })
      const relays = relayPort === undefined ? [] : [{ url: `http://127.0.0.1:${relayPort}` }]
      const { expiresAt } = made
      return { network: root.id, inviter: key.id, secret, expiresAt, relays, endpoints: [] }
    },
  }
  return inviter
}

/** The join of one device, with a clock that shows the time of the inviter's. */
export function joinAs(identity: KeyPair, code: InviteCode, options: Partial<JoinOptions> = {}) {
  return joinNetwork({
    code,
    identity,
    name: 'pi',
    clock: { ...systemClock, wallNow: () => NOW * 1000 },
    random: systemRandom,
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    software: 'test',
    env: {},
    addresses: () => ['127.0.0.1'],
    signal: new AbortController().signal,
    ...options,
  })
}
