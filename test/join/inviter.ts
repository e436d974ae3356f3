import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { guestOf, lanKeyOf } from '../../agent/join/guest-key.ts'
import { JoinDesk } from '../../agent/join/join-desk.ts'
import { type JoinOptions, joinNetwork } from '../../agent/join/join-network.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { listenForPaths } from '../../agent/path/tcp-listener.ts'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { foundNetwork, HomeNetwork } from '../../agent/trust/home-network.ts'
import { InviteBook } from '../../agent/trust/invite-book.ts'
import type { Invite } from '../../agent/trust/invites.ts'
import type { Network } from '../../agent/trust/network.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { InviteCode } from '../../common/wire/invite-code.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

export const NOW = 1_800_000_000

/** One who invites: the real listener, rendezvous, book and desk, and a network that it founded. */
export interface Inviter {
  readonly key: KeyPair
  readonly network: Network
  readonly port: number
  readonly lines: readonly string[]
  readonly book: InviteBook
  /** Seconds that its clock is behind or before. */
  readonly skew: { s: number }
  /** Until this resolves the relay does not know it. */
  readonly online: Promise<void>
  invite(wish?: Partial<Pick<Invite, 'name' | 'roles'>>): Promise<InviteCode>
}

export async function startInviter(t: ExecutionContext, relayPort?: number): Promise<Inviter> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-invite-'))
  const key = generateKeyPair()
  const lines: string[] = []
  const skew = { s: 0 }
  const log = createLog({ level: 'debug', style: 'words', write: text => lines.push(text) })
  const clock: Clock = { ...systemClock, wallNow: () => (NOW + skew.s) * 1000 }
  const sealer = createSealer(key, clock)
  const stop = new AbortController()
  const book = await InviteBook.open({ directory, clock, log, onChange: () => undefined })
  const place = { stateDir: directory, identity: key }
  await foundNetwork(place, 'founder', { clock, random: systemRandom })
  const home = await HomeNetwork.open({ ...place, clock, random: systemRandom, log, onChange: () => undefined })
  const network = home.current
  if (!network) throw new Error('no network')
  const desk = new JoinDesk({
    ownId: key.id,
    sealer,
    clock,
    log,
    invites: book,
    home,
    isTaken: name => name === 'in-allow',
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
    network,
    port: listener.port,
    lines,
    book,
    skew,
    online: connected.promise,
    async invite(wish = {}) {
      const secret = systemRandom.bytes(16)
      const guest = guestOf(secret).id
      const made = await book.add({
        guest,
        lanKey: lanKeyOf(secret),
        name: undefined,
        roles: [],
        expiresAt: NOW + 86_400,
        ...wish,
      })
      const relays = relayPort === undefined ? [] : [{ url: `http://127.0.0.1:${relayPort}` }]
      const { expiresAt } = made
      return { network: network.id, inviter: key.id, secret, expiresAt, relays, endpoints: [] }
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
