import type { Clock, Timer } from './clock.ts'
import type { Log, LogFields } from './log.ts'

/** A bad evening is told in full: a router that reboots twice makes a dozen lines. */
const BURST = 24
/** Then 2,880 lines a day, some 400 kB: what a small card takes without wear. */
const LINE_MS = 30_000

/**
 * A log for what others can make happen again and again: after a burst it lets lines through at a slow pace only, and
 * tells how many it left out. Debug lines pass: whoever asks for them wants them all.
 */
export class LogGate {
  readonly #log: Log
  readonly #clock: Clock
  readonly #fields: () => LogFields
  #room = BURST
  #filledAt: number
  #leftOut = 0
  #timer: Timer | undefined

  /** `fields` say of what lines were left out. */
  constructor(log: Log, clock: Clock, fields: () => LogFields) {
    this.#log = log
    this.#clock = clock
    this.#fields = fields
    this.#filledAt = clock.now()
  }

  info(message: string, fields: LogFields): void {
    if (this.#mayLog()) this.#log.info(message, fields)
  }

  warn(message: string, fields: LogFields): void {
    if (this.#mayLog()) this.#log.warn(message, fields)
  }

  debug(message: string, fields: LogFields): void {
    this.#log.debug(message, fields)
  }

  /** Tells at once what is not told yet. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#tell()
  }

  #mayLog(): boolean {
    const now = this.#clock.now()
    const gained = Math.floor((now - this.#filledAt) / LINE_MS)
    this.#room = Math.min(BURST, this.#room + gained)
    this.#filledAt += gained * LINE_MS
    // The next line to pass is the one that tells what was left out.
    if (this.#room > 0 && this.#leftOut === 0) {
      this.#room--
      return true
    }
    this.#leftOut++
    this.#timer ??= this.#clock.after(this.#filledAt + LINE_MS - now, () => {
      this.#timer = undefined
      this.#filledAt += LINE_MS
      this.#tell()
    })
    return false
  }

  #tell(): void {
    if (this.#leftOut === 0) return
    this.#log.info('lines like those before were left out', { ...this.#fields(), lines: this.#leftOut })
    this.#leftOut = 0
  }
}
