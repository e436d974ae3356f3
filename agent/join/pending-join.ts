import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asCulvertError, type ErrorCode, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import { eraseFile } from '../../common/platform/erase-file.ts'
import type { Log } from '../../common/platform/log.ts'
import type { JoinReply } from './joining.ts'

/** A code that this device has still to join by: its owner put it on the boot partition, before there was a network. */
const CODE_FILE = 'join.code'
const RETRY_MS = { first: 5_000, most: 300_000 }
/** With these the code will never let this device in. None of them is ever for what a relay says, or a connection that is cut. */
const FOR_GOOD: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['invite-refused', 'usage', 'version-unsupported'])

/** The agent joins by this code as soon as it can, and erases it then. */
export async function keepPendingJoin(stateDir: string, code: string): Promise<void> {
  await writeFileAtomic(join(stateDir, CODE_FILE), `${code}\n`, 0o600)
}

export interface PendingJoinOptions {
  readonly stateDir: string
  readonly clock: Clock
  readonly log: Log
  readonly join: (code: string, signal: AbortSignal) => Promise<JoinReply>
}

/** Joins by the code that was left for this device, again and again until the inviter lets it in or says no. */
export class PendingJoin {
  readonly #options: PendingJoinOptions
  readonly #closing = new AbortController()
  #code: string | undefined
  #tries = 0
  #trying = false
  #timer: Timer | undefined
  #said: string | undefined

  constructor(options: PendingJoinOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { stateDir, log } = this.#options
    const path = join(stateDir, CODE_FILE)
    try {
      this.#code = (await readFile(path, 'utf8')).trim()
    } catch (thrown) {
      if (systemCodeOf(thrown) !== 'ENOENT') log.warn(`cannot read ${path}`, { reason: reasonOf(thrown) })
      return
    }
    log.info('there is a code to join by')
    void this.#try()
  }

  /** There is a network now, or another one. */
  wake(): void {
    if (this.#code === undefined || this.#trying) return
    this.#tries = 0
    void this.#try()
  }

  close(): void {
    this.#closing.abort()
    this.#timer?.cancel()
  }

  async #try(): Promise<void> {
    const code = this.#code
    if (code === undefined || this.#trying || this.#closing.signal.aborted) return
    this.#trying = true
    this.#timer?.cancel()
    try {
      await this.#options.join(code, this.#closing.signal)
      await this.#over()
    } catch (thrown) {
      const { code: kind, message } = asCulvertError(thrown, 'internal', 'joining')
      if (this.#closing.signal.aborted) return
      if (FOR_GOOD.has(kind)) {
        this.#options.log.error(`the code to join by is no good and is erased: ${message}`)
        await this.#over()
      } else this.#again(message)
    } finally {
      this.#trying = false
    }
  }

  #again(reason: string): void {
    const { clock, log } = this.#options
    const delay = Math.min(RETRY_MS.first * 2 ** this.#tries++, RETRY_MS.most)
    if (this.#said !== reason) log.warn('could not join yet', { reason })
    this.#said = reason
    this.#timer = clock.after(delay, () => void this.#try())
  }

  async #over(): Promise<void> {
    const { stateDir, log } = this.#options
    this.#code = undefined
    try {
      await eraseFile(join(stateDir, CODE_FILE))
    } catch (thrown) {
      log.warn('a code that was used stays on the disk', { reason: reasonOf(thrown) })
    }
  }
}
