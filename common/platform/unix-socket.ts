import { lstat, stat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { CulvertError, systemCodeOf } from '../errors.ts'

/**
 * Listens on a unix socket that only its owner may use, or whom `mode` lets; closing the server removes it. A socket that a killed program
 * left behind is replaced, but only after nobody answered on it, and nothing that is not a socket is ever removed.
 * Rejects with `port-in-use`, or with the system's error.
 */
export async function listenOnSocketFile(server: Server, path: string, mode = 0o600): Promise<void> {
  try {
    await listen(server, path, mode)
  } catch (thrown) {
    const code = systemCodeOf(thrown)
    // libuv says EACCES where bind(2) says ENOENT.
    if (code === 'EACCES' && !(await isDirectory(dirname(path)))) {
      const message = `cannot listen on unix:${path}: the directory ${dirname(path)} does not exist; make it first`
      throw new CulvertError('io', message, { cause: thrown })
    }
    if (code !== 'EADDRINUSE') throw thrown
    await removeStale(path)
    await listen(server, path, mode)
  }
}

/** True when a program listens on the socket; false when nobody does, or when there is no socket. */
export async function answersOnSocketFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSocket() && (await answers(path))
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return false
    throw thrown
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (thrown) {
    return systemCodeOf(thrown) === 'EACCES'
  }
}

function listen(server: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // bind(2) happens inside listen(), so the socket has its mode from its first moment on.
    const before = process.umask(0o777 & ~mode)
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
    throw new CulvertError('port-in-use', `${path} is there and is no socket; remove it, or choose another path`)
  }
  if (await answers(path)) {
    throw new CulvertError('port-in-use', `another program listens on ${path}; stop it, or choose another path`)
  }
  await unlink(path)
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
