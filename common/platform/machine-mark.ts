import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Abstract names (unix(7)) exist only in the network namespace that they were made in: where addresses are shared, too. */
const PREFIX = 'culvert/'
const OPEN_SOCKETS = '/proc/net/unix'
/** The kernel shows the zero byte before such a name as `@`. */
const MARK_SHOWN = new RegExp(` @${PREFIX}(.+)$`, 'gm')

/**
 * Lets other programs of this machine see that `name` runs here. It is a hint that no other machine can give, and no
 * proof of who gives it; undefined where it cannot be given.
 */
export function markMachine(name: string): Promise<Disposable | undefined> {
  const server = createServer(socket => socket.destroy())
  server.unref()
  return new Promise(resolve => {
    server.once('error', () => resolve(undefined))
    server.listen(`\0${PREFIX}${name}`, 0, () => {
      server.on('error', () => undefined)
      resolve({ [Symbol.dispose]: () => void server.close() })
    })
  })
}

/** The names that are marked on this machine, in this network namespace. */
export function marksHere(): ReadonlySet<string> {
  try {
    const shown = readFileSync(OPEN_SOCKETS, 'latin1').matchAll(MARK_SHOWN)
    return new Set(Array.from(shown, ([, name]) => name ?? ''))
  } catch {
    return new Set()
  }
}
