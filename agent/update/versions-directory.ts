import { randomUUID } from 'node:crypto'
import { chmod, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory, switchLink, syncDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import { decodeTrial, encodeTrial, type Marks, type Moment, type Trial, type TrialTerms } from './marks.ts'
import { decodeOutcome, encodeOutcome, type Outcome } from './outcome.ts'
import { isVersion } from './version-order.ts'

/** Where versions stand beside the one of the package. Root's alone: whoever writes here decides what root runs. */
export const VERSIONS_HOME = '/opt/culvert'
export const PROGRAM = 'culvert'
/**
 * A word drawn for each trial, on a file system that a reboot empties. Not the kernel's boot id: a service with a /proc of
 * its own (ProtectProc=) sees another one than the rest of its container.
 */
const BOOT_MARK = '/run/culvert-update'

const OTHERS_MAY_WRITE = 0o022
const OTHERS_MAY_ENTER = 0o055

/** The versions on disk and the marks that decide between them. */
export class VersionsDirectory {
  readonly home: string

  readonly #bootMark: string

  constructor(home: string, bootMark?: string) {
    this.home = home
    // Whoever keeps versions elsewhere may not be root, nor alone on this machine.
    this.#bootMark = bootMark ?? (home === VERSIONS_HOME ? BOOT_MARK : join(home, 'boot'))
  }

  directoryOf(version: string): string {
    return join(this.home, 'versions', version)
  }

  /** Makes it, or makes sure that nobody else can change what stands in it. */
  async open(): Promise<void> {
    const own = process.geteuid?.()
    try {
      await makeDirectory(join(this.home, 'versions'), 0o755)
      for (const directory of [this.home, join(this.home, 'versions')]) {
        const { uid, mode } = await stat(directory)
        if (uid === own && (mode & OTHERS_MAY_WRITE) === 0) {
          // The service's user has to get there: a launcher that finds nothing would run the version before.
          if ((mode & OTHERS_MAY_ENTER) !== OTHERS_MAY_ENTER) await chmod(directory, 0o755)
          continue
        }
        const message = `${directory} can be changed by others, and what stands there is run; make it yours alone: chmod 755, chown ${own}`
        throw new CulvertError('not-authorized', message)
      }
    } catch (thrown) {
      throw this.#cannot('use', thrown)
    }
  }

  async marks(): Promise<Marks> {
    const trial = await readIfThere(join(this.home, 'trial'))
    return { current: await this.#current(), trial: trial === undefined ? undefined : decodeTrial(trial) }
  }

  async isThere(version: string): Promise<boolean> {
    try {
      return (await stat(join(this.directoryOf(version), PROGRAM))).isFile()
    } catch (thrown) {
      if (systemCodeOf(thrown) === 'ENOENT') return false
      throw thrown
    }
  }

  async begin(terms: TrialTerms, version: string): Promise<Trial> {
    const bootId = randomUUID()
    const { uptimeS } = await this.moment()
    const trial = { version, bootId, untilS: uptimeS + terms.seconds, terms }
    await this.#write(this.#bootMark, `${bootId}\n`)
    await this.#write(join(this.home, 'trial'), encodeTrial(trial))
    return trial
  }

  async moment(): Promise<Moment> {
    const [boot, up] = await Promise.all([readIfThere(this.#bootMark), readFile('/proc/uptime', 'utf8')])
    return { bootId: boot?.trim() ?? '', uptimeS: Math.trunc(Number(up.split(' ')[0])) }
  }

  /** The version that is on trial runs from now on, and the others but the last one go. */
  async keep(version: string): Promise<void> {
    try {
      const before = await this.#current()
      // First what runs without a trial, then the trial's end: a cut between the two changes nothing.
      await switchLink(join(this.home, 'current'), join('versions', version))
      await this.endTrial()
      await this.#sweep([version, before])
    } catch (thrown) {
      throw this.#cannot('write to', thrown)
    }
  }

  async endTrial(): Promise<void> {
    // A trial without its boot mark is over, too: also on a disk that has come to take no writes.
    await rm(this.#bootMark, { force: true })
    await rm(join(this.home, 'trial'), { force: true })
    await syncDirectory(this.home)
  }

  async tell(outcome: Outcome): Promise<void> {
    await this.#write(join(this.home, 'outcome'), encodeOutcome(outcome))
  }

  async outcome(): Promise<Outcome | undefined> {
    const text = await readIfThere(join(this.home, 'outcome'))
    return text === undefined ? undefined : decodeOutcome(text)
  }

  /** Removes what updates that were cut off have left. */
  async sweep(): Promise<void> {
    await this.#sweep([await this.#current()])
  }

  async #sweep(kept: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(join(this.home, 'versions'))) {
      if (!kept.includes(name)) await rm(this.directoryOf(name), { recursive: true, force: true })
    }
  }

  async #current(): Promise<string | undefined> {
    try {
      const version = /^versions\/(.+)$/.exec(await readlink(join(this.home, 'current')))?.[1]
      return version !== undefined && isVersion(version) ? version : undefined
    } catch (thrown) {
      if (systemCodeOf(thrown) === 'ENOENT') return undefined
      throw thrown
    }
  }

  async #write(path: string, content: string): Promise<void> {
    try {
      await writeFileAtomic(path, content, 0o644)
    } catch (thrown) {
      throw this.#cannot('write to', thrown)
    }
  }

  #cannot(what: string, thrown: unknown): CulvertError {
    if (thrown instanceof CulvertError) return thrown
    const code = systemCodeOf(thrown)
    const denied = code === 'EACCES' || code === 'EPERM'
    const remedy = denied ? '; run it with sudo' : code === 'EROFS' ? '; updates need a disk that takes writes' : ''
    const message = `cannot ${what} ${this.home} (${reasonOf(thrown)})${remedy}`
    return new CulvertError(denied ? 'not-authorized' : 'io', message, { cause: thrown })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}
