import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { LabError } from './lab-error.ts'

export interface SpawnOptions {
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Written to standard input, which is then closed. Without it, it stays open until `child.stdin.end()`. */
  readonly input?: string | Uint8Array
  /** `piped` leaves standard output to the caller's own reader; nothing of it is kept. Default `captured`. */
  readonly output?: 'captured' | 'piped'
}

export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ExecResult extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

export interface WaitOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Characters kept of each output; of more, the latest. */
const MAX_CAPTURED = 16 * 1024 * 1024
const TAIL = 6_000

/** Debian keeps the network tools where an ordinary user's PATH does not look. */
export const TOOL_PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`

/** The processes of one lab, so that none is left when it ends. */
export class ProcessTable {
  readonly #running = new Set<LabProcess>()

  start(command: string, args: readonly string[], options: SpawnOptions = {}): LabProcess {
    const started = new LabProcess(command, args, options)
    this.#running.add(started)
    void started.ended.then(() => this.#running.delete(started))
    return started
  }

  /** At once and without waiting, for use while this process exits. */
  killAll(): void {
    for (const { child } of this.#running) child.kill('SIGKILL')
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map(running => running.stop('SIGTERM', 1_000)))
  }
}

/** A running program of the lab and what it has written so far. */
export class LabProcess implements AsyncDisposable {
  readonly child: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable; readonly stderr: Readable }
  /** Settles when the process is gone and all its output is read; never rejects. */
  readonly exited: Promise<ExecResult>
  /** Settles when the process is gone; a grandchild may still hold its output open. */
  readonly ended: Promise<ExitStatus>
  readonly #words: string
  #stdout = ''
  #stderr = ''
  #over = false

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    this.#words = [command, ...args].join(' ')
    this.child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PATH: TOOL_PATH, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    const { child } = this
    if (options.output !== 'piped') {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        this.#stdout = (this.#stdout + text).slice(-MAX_CAPTURED)
      })
    }
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_CAPTURED)
    })
    // A program may end without reading its input; its exit status says what there is to say.
    child.stdin.on('error', () => child.stdin.destroy())
    if (options.input !== undefined) child.stdin.end(options.input)

    const failed = Promise.withResolvers<ExitStatus>()
    child.once('error', error => {
      if (child.pid !== undefined) return
      this.#stderr += `${error.message}\n`
      failed.resolve({ code: 127, signal: null })
    })
    const on = (event: 'exit' | 'close') =>
      new Promise<ExitStatus>(resolve => child.once(event, (code, signal) => resolve({ code, signal })))
    this.ended = Promise.race([failed.promise, on('exit')])
    this.exited = Promise.race([failed.promise, on('close')]).then(status => {
      this.#over = true
      return { ...status, stdout: this.#stdout, stderr: this.#stderr }
    })
  }

  /** 0 when the program could not be started. */
  get pid(): number {
    return this.child.pid ?? 0
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Waits until either output matches (60 s by default); rejects with `process-exited`, `timeout`, or the signal. */
  waitForOutput(pattern: RegExp, { timeoutMs = 60_000, signal }: WaitOptions = {}): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>()
    const look = (): boolean => {
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr)
      if (match) resolve(match)
      return match !== null
    }
    if (look()) return promise
    if (this.#over) reject(this.#error('process-exited', `ended without writing ${pattern}`))
    const timer = setTimeout(
      () => reject(this.#error('timeout', `did not write ${pattern} in ${timeoutMs} ms`)),
      timeoutMs,
    )
    const stop = () => reject(signal?.reason)
    const streams = [this.child.stdout, this.child.stderr]
    for (const stream of streams) stream.on('data', look)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    void this.exited.then(status => {
      if (!look()) reject(this.#error('process-exited', `ended (${describe(status)}) without writing ${pattern}`))
    })
    return promise.finally(() => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      for (const stream of streams) stream.off('data', look)
    })
  }

  /** Sends the signal, and SIGKILL after the grace; settles when the process is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 30_000): Promise<ExitStatus> {
    this.child.kill(signal)
    const timer = setTimeout(() => this.child.kill('SIGKILL'), graceMs)
    const status = await this.ended
    clearTimeout(timer)
    return status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #error(code: 'process-exited' | 'timeout', what: string): LabError {
    const output = `${this.#stdout.slice(-TAIL)}\n${this.#stderr.slice(-TAIL)}`.trim()
    return new LabError(code, `\`${this.#words}\` ${what}; it wrote:\n${output}`)
  }
}

/** "exit 2" or "SIGKILL". */
export function describe({ code, signal }: ExitStatus): string {
  return signal ?? `exit ${code}`
}
