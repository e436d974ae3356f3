import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { asCulvertError, CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import type { Clock, Timer } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import { handingToUs } from '../common/platform/service-reader.ts'

/** A certificate chain and its key, in PEM. */
export interface TlsMaterial {
  readonly cert: Buffer
  readonly key: Buffer
  /** The first certificate of the chain. */
  readonly certificate: X509Certificate
}

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** Reads and checks a pair; `bad-config` names the file and what to do when it cannot be served. */
export async function loadTls(files: TlsFiles): Promise<TlsMaterial> {
  const cert = await read('tls.cert', files.cert)
  const key = await read('tls.key', files.key)
  try {
    createSecureContext({ cert, key })
    const certificate = new X509Certificate(cert)
    if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is of another one')
    return { cert, key, certificate }
  } catch (cause) {
    const message = `tls.cert ${files.cert} cannot be served with tls.key ${files.key}; give a PEM chain and its own key`
    throw asCulvertError(cause, 'bad-config', message)
  }
}

async function read(place: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    const denied = systemCodeOf(cause) === 'EACCES'
    const remedy = (denied ? handingToUs(path) : undefined) ?? "correct the path or the file's owner"
    const message = `${place}: ${path} cannot be read (${reasonOf(cause)}); ${remedy}`
    throw new CulvertError('bad-config', message, { cause })
  }
}

/** Keeps a server on the newest good pair. Bad new files are logged once and the old pair stays in use. */
export class TlsReload {
  readonly #files: TlsFiles
  readonly #clock: Clock
  readonly #log: Log
  readonly #use: (tls: TlsMaterial) => void
  #seen: string
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()

  /** `seen` is the mark of the files that are served already, from `tlsMark` before they were read. */
  constructor(files: TlsFiles, seen: string, clock: Clock, log: Log, use: (tls: TlsMaterial) => void) {
    this.#files = files
    this.#seen = seen
    this.#clock = clock
    this.#log = log
    this.#use = use
  }

  /**
   * Files are looked at rather than watched: certificate tools replace links to links, and a watch on any one directory
   * of that chain misses the others.
   */
  poll(everyMs: number): void {
    this.#timer = this.#clock.every(everyMs, () => {
      this.#running = this.#running.then(() => this.#look(false))
    })
  }

  /** Loads the files now, changed or not. */
  reload(): Promise<void> {
    this.#running = this.#running.then(() => this.#look(true))
    return this.#running
  }

  stop(): void {
    this.#timer?.cancel()
  }

  async #look(force: boolean): Promise<void> {
    const mark = await tlsMark(this.#files)
    if (mark === this.#seen && !force) return
    this.#seen = mark
    try {
      this.#use(await loadTls(this.#files))
      this.#log.info('TLS certificate loaded', { cert: this.#files.cert })
    } catch (thrown) {
      this.#log.error('TLS certificate not loaded, the old one stays', { why: reasonOf(thrown) })
    }
  }
}

/** A text that changes when either file does. */
export async function tlsMark(files: TlsFiles): Promise<string> {
  const marks = [files.cert, files.key].map(async path => {
    try {
      const { ino, size, mtimeMs } = await stat(path)
      return `${ino}/${size}/${mtimeMs}`
    } catch (thrown) {
      return reasonOf(thrown)
    }
  })
  return (await Promise.all(marks)).join(' ')
}
