import { asCulvertError, CulvertError, type ErrorCode } from '../../common/errors.ts'
import { type Clock, pause } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { createSealer } from '../path/seal.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { RelayAddress } from '../rendezvous/relay-dial.ts'
import { Rendezvous } from '../rendezvous/rendezvous.ts'
import type { JoinLine } from './join-stream.ts'

/** Between two calls over relays: the inviter's own line may just be coming back. */
const CALL_AGAIN_MS = 2_000
/** On a LAN that loses half of all multicast, who is there is found by then. */
const SEEK_MS = 8_000
/** Who is not at the relay for so long will not be there in the next moment either. */
const AWAY_CALLS = 4

export interface ReachOptions {
  readonly guest: KeyPair
  readonly inviter: PeerId
  readonly relays: readonly RelayAddress[]
  /** Where the inviter may be reached directly; more may be found while this goes on. */
  readonly endpoints: readonly Endpoint[]
  readonly seek?: (found: (endpoint: Endpoint) => void, signal: AbortSignal) => void
  readonly addresses: () => readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly software: string
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** The inviter has said no, sealed: over no other way will it say yes. All else may be the word of who is in between. */
const FINAL: ErrorCode = 'invite-refused'
/** What says more about why nobody let us in, most first; the rest comes last. */
const TELLING: readonly ErrorCode[] = [
  'wire-malformed',
  'busy',
  'not-authorized',
  'peer-refused',
  'relay-refused',
  'peer-offline',
  'relay-impersonated',
  'relay-unreachable',
]

/**
 * Reaches an inviter as its guest over every way at once, and speaks to it on the first that leads there. Rejects with the
 * inviter's refusal, or with what says most about why it was not reached.
 */
export async function reachInviter<T>(options: ReachOptions, speak: (line: JoinLine) => Promise<T>): Promise<T> {
  const { clock, limitMs, signal } = options
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  const outcome = Promise.withResolvers<T>()
  const errors: CulvertError[] = []
  const limit = clock.after(limitMs, () => outcome.reject(mostTelling(errors)))
  const abort = () => outcome.reject(new CulvertError('aborted', 'joining was stopped'))
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()

  const tryOver: TryOver = async connect => {
    try {
      const line = await connect()
      try {
        outcome.resolve(await speak(line))
        return undefined
      } finally {
        line.stream.destroy()
      }
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'reaching the inviter')
      if (stop.aborted) return error.code
      errors.push(error)
      if (errors.length > 16) errors.shift()
      if (error.code === FINAL) outcome.reject(error)
      return error.code
    }
  }
  const ways = [overAddresses(options, stop, tryOver), overRelays(options, stop, tryOver)]
  void Promise.all(ways).then(() => outcome.reject(mostTelling(errors)))
  try {
    return await outcome.promise
  } finally {
    limit.cancel()
    signal.removeEventListener('abort', abort)
    over.abort()
  }
}

/** Resolves with why it did not work. */
type TryOver = (connect: () => Promise<JoinLine>) => Promise<ErrorCode | undefined>

async function overAddresses(options: ReachOptions, signal: AbortSignal, tryOver: TryOver): Promise<void> {
  const { guest, inviter, endpoints, seek, clock, random } = options
  const sealer = createSealer(guest, clock)
  const dial = (endpoint: Endpoint) =>
    tryOver(() => dialTcpPath(inviter, { kind: 'tcp', how: 'lan', endpoint }, { sealer, clock, random, signal }))
  const dials = endpoints.map(dial)
  seek?.(endpoint => void dials.push(dial(endpoint)), signal)
  if (seek) await pause(clock, Math.min(SEEK_MS, options.limitMs), signal)
  await Promise.all(dials)
}

async function overRelays(options: ReachOptions, signal: AbortSignal, tryOver: TryOver): Promise<void> {
  const { guest, inviter, relays, addresses, clock, random, log, software } = options
  if (relays.length === 0) return
  const sealer = createSealer(guest, clock)
  let changed = Promise.withResolvers<void>()
  const rendezvous = new Rendezvous({
    relays,
    identity: guest,
    clock,
    random,
    log,
    software,
    instance: random.bytes(8),
    addresses,
    isTrusted: () => false,
    onCall: call => call.refuse('refused'),
    onPresence: () => undefined,
    onLost: () => undefined,
    onChange: () => changed.resolve(),
  })
  const call = async () => {
    const pipe = await rendezvous.call(inviter, signal)
    const within = pipe.failure ? AbortSignal.any([signal, pipe.failure]) : signal
    try {
      return await sealer.seal(pipe.socket, { role: 'client', expected: inviter, accept: () => true, signal: within })
    } catch (thrown) {
      throw pipe.failure?.aborted ? pipe.failure.reason : thrown
    }
  }
  const stop = () => changed.resolve()
  signal.addEventListener('abort', stop, { once: true })
  try {
    for (let calls = 0; calls < AWAY_CALLS && !signal.aborted; ) {
      changed = Promise.withResolvers<void>()
      if (rendezvous.connected) {
        // Who is refused twice, over all relays that there are, is refused.
        calls += (await tryOver(call)) === 'peer-refused' ? AWAY_CALLS / 2 : 1
        await pause(clock, CALL_AGAIN_MS, signal)
        continue
      }
      await changed.promise
      // Why a relay does not let us in says more than that nobody was reached.
      if (!rendezvous.connected && !signal.aborted) await tryOver(() => Promise.reject(whyNot(rendezvous)))
    }
  } finally {
    signal.removeEventListener('abort', stop)
    rendezvous.close()
  }
}

function whyNot(rendezvous: Rendezvous): CulvertError {
  const down = rendezvous.report().filter(({ lastError }) => lastError !== null)
  const refused = down.find(({ state }) => state === 'refused')
  const { url, lastError } = refused ?? down[0] ?? { url: 'the relay', lastError: 'no answer yet' }
  const message = lastError ?? `${url} gives no answer`
  return new CulvertError(refused ? 'relay-refused' : 'relay-unreachable', message)
}

function mostTelling(errors: readonly CulvertError[]): CulvertError {
  const rank = ({ code }: CulvertError) => (TELLING.includes(code) ? TELLING.indexOf(code) : TELLING.length)
  const [best] = errors.toSorted((a, b) => rank(a) - rank(b))
  return best ?? new CulvertError('peer-unreachable', 'nothing leads to it')
}
