import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { addressScope } from '../../common/wire/endpoint.ts'
import type { Decline, PunchWords } from '../../common/wire/punch-signal.ts'

/** The peer has to ask relays for its own address first, and its answer comes over a relay. */
const ANSWER_MS = 5_000
/** An honest peer never has more under way. */
const MAX_WAITING = 8

type Kind = PunchWords['kind']
export type Words<K extends Kind> = Extract<PunchWords, { readonly kind: K }>

/** The peer said nothing at all, as one that still takes an old path for sound. */
export class Unanswered extends CulvertError {
  constructor(forMs: number) {
    super('timed-out', `the peer did not answer in ${forMs} ms`)
  }
}

/** What the two sides of one attempt say to each other, in order. */
export class PunchDialogue {
  readonly attempt: number
  readonly signal: AbortSignal
  readonly #clock: Clock
  readonly #say: (words: PunchWords) => void
  readonly #came: PunchWords[] = []
  #heard = false
  #wake: (() => void) | undefined

  constructor(attempt: number, clock: Clock, signal: AbortSignal, say: (words: PunchWords) => void) {
    this.attempt = attempt
    this.signal = signal
    this.#clock = clock
    this.#say = say
  }

  say(words: PunchWords): void {
    if (!this.signal.aborted) this.#say(words)
  }

  /** Tells the peer why we do not go along, and ends our side of the attempt. */
  decline(why: Decline, message: string): CulvertError {
    this.say({ kind: 'decline', why })
    return new CulvertError('peer-unreachable', message)
  }

  receive(words: PunchWords): void {
    this.#heard = true
    if (this.#came.length < MAX_WAITING) this.#came.push(words)
    this.#wake?.()
  }

  /** The peer's next words of one of these kinds; rejects with why there are none. `declined` finds the sentence. */
  async next<K extends Kind>(kinds: readonly K[], declined: (why: Decline) => string, forMs = ANSWER_MS) {
    const until = this.#clock.now() + forMs
    for (;;) {
      if (this.signal.aborted) throw new CulvertError('aborted', 'the attempt was aborted')
      const words = this.#came.shift()
      if (words && isOf(words, kinds)) return words
      if (words?.kind === 'decline') {
        throw new CulvertError(words.why === 'busy' ? 'busy' : 'peer-unreachable', declined(words.why))
      }
      if (words) continue
      const left = until - this.#clock.now()
      if (left <= 0 && !this.#heard) throw new Unanswered(forMs)
      if (left <= 0) throw new CulvertError('timed-out', `the peer did not go on in ${forMs} ms`)
      await this.#something(left)
    }
  }

  #something(forMs: number): Promise<void> {
    return new Promise(resolve => {
      const settle = () => {
        timer.cancel()
        this.signal.removeEventListener('abort', settle)
        this.#wake = undefined
        resolve()
      }
      const timer = this.#clock.after(forMs, settle)
      this.signal.addEventListener('abort', settle, { once: true })
      this.#wake = settle
    })
  }
}

function isOf<K extends Kind>(words: PunchWords, kinds: readonly K[]): words is Words<K> {
  return kinds.some(kind => kind === words.kind)
}

export const UNPREDICTABLE = 'the router here uses another outside port for each destination, and none can be foretold'
export const BOTH_UNPREDICTABLE = 'both routers use another outside port for each destination, and none can be foretold'

/** The other side declined; this is for the owner of this one. */
export function whyDeclined(why: Decline): string {
  switch (why) {
    case 'unpredictable':
      return 'the router of the peer uses another outside port for each destination, and none can be foretold'
    case 'busy':
      return 'the peer is searching a way to somebody else'
    case 'not-hard':
    case 'other':
      return 'the peer cannot tell where it is to be met'
    default:
      return why satisfies never
  }
}

/**
 * A peer may not point us at this machine or into our own network: where it can be met is public, or in the same kind of
 * network as our own address outside, as when the relay is on a LAN.
 */
export function checkMeetingPlace(remote: string, own: string, isOwnAddress: (address: string) => boolean): void {
  const scope = addressScope(remote)
  if (isOwnAddress(remote)) throw new CulvertError('wire-malformed', 'the peer gave an address of this device')
  if (scope === 'public' || (scope !== 'loopback' && scope !== 'unusable' && scope === addressScope(own))) return
  throw new CulvertError('wire-malformed', 'the peer gave no usable address')
}
