import type { Clock } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { LogGate } from '../../common/platform/log-gate.ts'
import { formatEndpoint } from '../../common/wire/endpoint.ts'
import type { Path, PathHow, PathKind } from '../path/path.ts'
import type { LostPath } from './session-events.ts'

/** A clone comes again and again. */
const CLONE_LOG_MS = 600_000

/** What the log tells of the paths to one peer, who could make and break them without end. */
export class PathLog {
  readonly #log: LogGate
  readonly #name: () => string
  readonly #mayLog: (key: string) => boolean
  /** The path that it told of last; undefined when it told that there is none. */
  #told: string | undefined

  constructor(log: Log, clock: Clock, name: () => string) {
    this.#log = new LogGate(log, clock, () => ({ peer: name() }))
    this.#name = name
    this.#mayLog = createRateGate(clock, CLONE_LOG_MS)
  }

  /** The session goes over this one now. */
  active({ kind, how }: { readonly kind: PathKind; readonly how: PathHow }): void {
    const path = `${kind}/${how}`
    if (path === this.#told) return
    this.#log.info(this.#told ? 'moved' : 'connected', { peer: this.#name(), path, from: this.#told })
    this.#told = path
  }

  /** There is none any more. */
  pathless(): void {
    this.#told = undefined
  }

  lost({ link, reason }: LostPath): void {
    const fields = { peer: this.#name(), path: `${link.kind}/${link.how}`, reason: reason.message }
    if (reason.code === 'session-closed') this.#log.debug('a path was left', fields)
    else this.#log.info('a path broke', fields)
  }

  close(): void {
    this.#log.close()
  }

  clone({ remote }: Path): void {
    if (!this.#mayLog('clone')) return
    const from = remote && formatEndpoint(remote)
    const what = 'two devices have the identity of this peer; the one that came second was turned away'
    this.#log.warn(what, { peer: this.#name(), from })
  }
}
