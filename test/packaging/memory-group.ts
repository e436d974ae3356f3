import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCodeOf } from '../../common/errors.ts'

const HIERARCHY = '/sys/fs/cgroup/memory'
let groups = 0

/**
 * Processes that have so much memory together and no more, for a machine in a container: its own systemd cannot hold to
 * `MemoryMax=` under a kernel with version 1 of control groups. With version 2 it can, and there is none of these.
 */
export class MemoryGroup implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async make(bytes: number): Promise<MemoryGroup | undefined> {
    if (!existsSync(join(HIERARCHY, 'memory.limit_in_bytes'))) return undefined
    const folder = join(HIERARCHY, `culvert-test-${process.pid}-${groups++}`)
    try {
      await mkdir(folder)
    } catch (thrown) {
      // In a container that may look at it only.
      if (systemCodeOf(thrown) === 'EROFS' || systemCodeOf(thrown) === 'EACCES') return undefined
      throw thrown
    }
    await writeFile(join(folder, 'memory.limit_in_bytes'), String(bytes))
    return new MemoryGroup(folder)
  }

  /** What has to be started for a program to be in it. */
  entering(command: string, args: readonly string[]): readonly [command: string, args: readonly string[]] {
    const enter = `echo $$ >'${join(this.#folder, 'cgroup.procs')}' && exec "$@"`
    return ['sh', ['-c', enter, 'sh', command, ...args]]
  }

  /** How many processes the kernel has ended because they wanted more. */
  async killed(): Promise<number> {
    const text = await readFile(join(this.#folder, 'memory.oom_control'), 'utf8')
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rmdir(this.#folder)
  }
}
