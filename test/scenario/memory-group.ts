import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from './machine.ts'

/** A control group with a limit of its memory, of either version of them; what it held has to be gone when it goes. */
export class MemoryGroup implements AsyncDisposable {
  readonly #path: string
  readonly #files: typeof V1

  private constructor(path: string, files: typeof V1) {
    this.#path = path
    this.#files = files
  }

  /** Undefined where this machine lets nobody make one. */
  static async make(limitBytes: number): Promise<MemoryGroup | undefined> {
    for (const [root, files] of [
      ['/sys/fs/cgroup/memory', V1],
      ['/sys/fs/cgroup', V2],
    ] as const) {
      const path = join(root, `culvert-test-${process.pid}`)
      try {
        if (files === V2) await writeFile(join(root, 'cgroup.subtree_control'), '+memory')
        await mkdir(path)
        await access(join(path, files.limit))
        await writeFile(join(path, files.limit), String(limitBytes))
        return new MemoryGroup(path, files)
      } catch {
        await rmdir(path).catch(() => undefined)
      }
    }
    return undefined
  }

  /** The same machine, with what is spawned in this group. */
  machine(inner: Machine): Machine {
    return {
      exec: (...call) => inner.exec(...call),
      spawn: (command, args = [], options = {}) => {
        const enter = ['-c', 'echo $$ >"$0" && exec "$@"', join(this.#path, 'cgroup.procs')]
        return inner.spawn('/bin/sh', [...enter, command, ...args], options)
      },
    }
  }

  async peakBytes(): Promise<number> {
    return Number(await readFile(join(this.#path, this.#files.peak), 'utf8'))
  }

  /** How often the kernel killed something for want of memory. */
  async kills(): Promise<number> {
    const text = await readFile(join(this.#path, this.#files.events), 'utf8')
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rmdir(this.#path)
  }
}

const V1 = { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' }
const V2 = { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }
