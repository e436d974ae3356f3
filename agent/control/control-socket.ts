import { lstat, mkdir, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'

/**
 * Listens on a unix socket that only its owner may use. A socket that a killed agent left behind is removed, but only
 * after nobody answered on it, and nothing that is not a socket is ever removed.
 */
export async function listenOnSocketFile(server: Server, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await listen(server, path)
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'EADDRINUSE') throw cannotListen(path, thrown)
    await removeStale(path)
    try {
      await listen(server, path)
    } catch (again) {
      throw cannotListen(path, again)
    }
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // bind(2) happens inside listen(), so the socket has its mode from its first moment on.
    const before = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}

async function removeStale(path: string): Promise<void> {
  const isSocket = (await lstat(path)).isSocket()
  if (!isSocket) {
    throw new CulvertError(
      'port-in-use',
      `${path} is there and is no socket; remove it, or set another "controlSocket"`,
    )
  }
  if (await answers(path)) {
    throw new CulvertError('port-in-use', `another agent is running: it answers on ${path}; stop it first`)
  }
  await unlink(path)
}

/**
 * Throws `port-in-use` when an agent answers on the socket. Asked before anything else is touched: a second agent on
 * one state directory would take the ports of the first for foreign ones.
 */
export async function refuseSecondAgent(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) return
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return
    throw cannotListen(path, thrown)
  }
  if (await answers(path)) {
    throw new CulvertError('port-in-use', `another agent is running: it answers on ${path}; stop it first`)
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // A socket that we may not even knock at belongs to somebody.
    probe.once('error', thrown => resolve(systemCodeOf(thrown) !== 'ECONNREFUSED'))
  })
}

function cannotListen(path: string, thrown: unknown): CulvertError {
  if (thrown instanceof CulvertError) return thrown
  const message = `cannot listen on the control socket ${path}: ${reasonOf(thrown)}; check its directory, or set another "controlSocket"`
  return new CulvertError('io', message, { cause: thrown })
}
