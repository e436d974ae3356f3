import { mkdir, stat } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname } from 'node:path'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { answersOnSocketFile, listenOnSocketFile } from '../../common/platform/unix-socket.ts'

/** Listens on the control socket and makes its directory; rejects with `port-in-use` or `io`. */
export async function listenOnControlSocket(server: Server, path: string): Promise<void> {
  await refuseSecondAgent(path)
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await listenOnSocketFile(server, path, (await isForItsGroup(dirname(path))) ? 0o660 : 0o600)
  } catch (thrown) {
    throw cannotListen(path, thrown)
  }
}

/**
 * Throws `port-in-use` when an agent answers on the socket. Asked before anything else is touched: a second agent on
 * one state directory would take the ports of the first for foreign ones.
 */
export async function refuseSecondAgent(path: string): Promise<void> {
  let answers: boolean
  try {
    answers = await answersOnSocketFile(path)
  } catch (thrown) {
    throw cannotListen(path, thrown)
  }
  if (answers) {
    throw new CulvertError('port-in-use', `another agent is running: it answers on ${path}; stop it first`)
  }
}

/**
 * A directory whose files fall to its group and that nobody else may enter (mode 2750, as of our systemd unit) is there
 * so that the group may command the agent. A group that somebody merely belongs to, as to that of his home, is not meant.
 */
async function isForItsGroup(directory: string): Promise<boolean> {
  return ((await stat(directory)).mode & 0o2077) === 0o2050
}

function cannotListen(path: string, thrown: unknown): CulvertError {
  const code = thrown instanceof CulvertError ? thrown.code : 'io'
  const message = `cannot listen on the control socket: ${reasonOf(thrown)}; check ${path}, or set another "controlSocket"`
  return new CulvertError(code, message, { cause: thrown })
}
