import { CulvertError, reasonOf } from '../errors.ts'
import { plainText } from '../wire/plain-text.ts'
import type { Clock, Timer } from './clock.ts'
import type { Log } from './log.ts'

/** What started this process and watches it: systemd, by sd_notify(3), or nobody. */
export interface ServiceManager {
  /** From now on it is told that the event loop turns, as often as it asks for. */
  ready(): void
  /** The config is being read again, until `ready` is called once more. */
  reloading(): void
  stopping(): void
  /** Something changed that the status line may show; it is told soon, and not too often. */
  changed(): void
  close(): void
}

export interface ServiceManagerOptions {
  readonly clock: Clock
  readonly log: Log
  /** One line for `systemctl status`; looked up whenever something is told anyway. */
  readonly status: () => string
  /** Hands over one message and resolves when it has arrived. */
  readonly send?: Send
}

type Send = (fields: readonly string[]) => Promise<void>

type Environment = Readonly<Record<string, string | undefined>>

/** More than that waiting means that nobody takes them, and the newest says nothing that the older ones did not. */
const WAITING_LIMIT = 8

/** Changes come in swarms: one look for all of them. */
const LOOK_AFTER_MS = 1_000
/** A message costs some CPU time, and who looks at the line can wait. */
const TELL_EVERY_MS = 10_000

/** The manager that the environment names; without one, calls have no effect. */
export function serviceManager(environment: Environment, options: ServiceManagerOptions): ServiceManager {
  if (!environment.NOTIFY_SOCKET) return NOBODY
  const send: Send = options.send ?? (fields => notify(environment, fields))
  return new Notifier(watchdogMs(environment, process.pid), options, send)
}

const NOBODY: ServiceManager = {
  ready: () => undefined,
  reloading: () => undefined,
  stopping: () => undefined,
  changed: () => undefined,
  close: () => undefined,
}

/** How long the manager waits for a sign of life; undefined when it does not, or not for this process's (sd_watchdog_enabled(3)). */
export function watchdogMs(environment: Environment, pid: number): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment
  const ms = Number(WATCHDOG_USEC) / 1000
  const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid)
  return isOurs && Number.isFinite(ms) && ms > 0 ? ms : undefined
}

class Notifier implements ServiceManager {
  readonly #watchdogMs: number | undefined
  readonly #options: ServiceManagerOptions
  readonly #send: Send
  #timer: Timer | undefined
  #change: Timer | undefined
  #changeToldAt = Number.NEGATIVE_INFINITY
  #told: string | undefined
  #waiting = 0
  #last: Promise<void> = Promise.resolve()
  #failed = false
  #unreadable = false

  constructor(watchdog: number | undefined, options: ServiceManagerOptions, send: Send) {
    this.#watchdogMs = watchdog
    this.#options = options
    this.#send = send
  }

  ready(): void {
    this.#tell('READY=1')
    // Twice in the time that is given, as sd_watchdog_enabled(3) asks for. A loop that is stuck runs no timer.
    if (this.#watchdogMs !== undefined)
      this.#timer ??= this.#options.clock.every(this.#watchdogMs / 2, () => this.#live())
  }

  reloading(): void {
    // Without the time, which systemd compares with when it asked, newer versions take it for an earlier reload.
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  }

  stopping(): void {
    this.#tell('STOPPING=1')
  }

  changed(): void {
    // Before it is ready nobody waits for a line.
    if (this.#change || this.#told === undefined) return
    const { clock } = this.#options
    const waitMs = Math.max(LOOK_AFTER_MS, this.#changeToldAt + TELL_EVERY_MS - clock.now())
    this.#change = clock.after(waitMs, () => {
      this.#change = undefined
      if (this.#status() === this.#told) return
      this.#changeToldAt = clock.now()
      this.#tell()
    })
  }

  close(): void {
    this.#timer?.cancel()
    this.#change?.cancel()
  }

  #status(): string {
    const { status, log } = this.#options
    try {
      return plainText(status())
    } catch (thrown) {
      // It is looked up by a timer, and a line for `systemctl` is not worth an agent.
      if (!this.#unreadable) log.error('the line for systemd cannot be made', { reason: reasonOf(thrown) })
      this.#unreadable = true
      return 'running'
    }
  }

  #live(): void {
    // The one under way says the same.
    if (this.#waiting === 0) this.#tell('WATCHDOG=1')
  }

  #tell(...fields: readonly string[]): void {
    if (this.#waiting >= WAITING_LIMIT) return
    this.#waiting++
    this.#told = this.#status()
    const message = [...fields, `STATUS=${this.#told}`]
    this.#last = this.#last
      .then(() => this.#send(message))
      .catch((thrown: unknown) => this.#warnOnce(thrown))
      .finally(() => {
        this.#waiting--
      })
  }

  #warnOnce(thrown: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#options.log.warn('systemd cannot be told how we are', { reason: reasonOf(thrown) })
  }
}

/** Node has no datagram sockets of the unix kind, so systemd's own program sends. A message costs 10 ms of CPU time. */
async function notify(environment: Environment, fields: readonly string[]): Promise<void> {
  // Only here, because a program that nobody manages needs none of it.
  const { spawn } = process.getBuiltinModule('node:child_process')
  const { NOTIFY_SOCKET, PATH } = environment
  const child = spawn('systemd-notify', fields, { env: { NOTIFY_SOCKET, PATH }, stdio: 'ignore', timeout: SEND_MS })
  // A waiting message is no reason to go on living.
  child.unref()
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new CulvertError('io', `systemd-notify ended with ${signal ?? code}`))
    })
  })
}

/** By then systemd has not taken it, and the next one is due. */
const SEND_MS = 10_000
