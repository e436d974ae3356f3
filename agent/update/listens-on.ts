import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { systemCodeOf } from '../../common/errors.ts'

/** Whether a process holds a unix socket that is bound to this path. */
export async function listensOn(pid: number, socketPath: string): Promise<boolean> {
  try {
    const sockets = await socketsAt(pid, socketPath)
    const files = join('/proc', String(pid), 'fd')
    const held = await Promise.all((await readdir(files)).map(file => readlink(join(files, file)).catch(() => '')))
    return held.some(link => sockets.has(link))
  } catch (thrown) {
    // In a container whose root may not look into processes of others.
    return systemCodeOf(thrown) === 'EACCES'
  }
}

/** The sockets of a path, as links in `/proc/PID/fd` name them; one path may have had several. */
async function socketsAt(pid: number, socketPath: string): Promise<ReadonlySet<string>> {
  const table = await readFile(`/proc/${pid}/net/unix`, 'utf8')
  const wanted = await resolved(socketPath)
  const found = new Set<string>()
  for (const row of table.split('\n')) {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, inode, path] = /^(?:\S+ +){6}(\d+) (\/.*)$/.exec(row) ?? []
    if (path === undefined || basename(path) !== basename(socketPath)) continue
    if ((await resolved(path)) === wanted) found.add(`socket:[${inode}]`)
  }
  return found
}

/** `/var/run` is `/run`. */
async function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => path)
}
