import { stat } from 'node:fs/promises'

/**
 * Runs as whom a state directory belongs to, where root would: the service that owns it, taken over, must not be able to
 * lead root to another file by what it puts there. In this process nothing else may go on meanwhile.
 */
export async function asOwnerOf<T>(stateDir: string, run: () => Promise<T>): Promise<T> {
  const { geteuid, getegid, seteuid, setegid } = process
  if (!geteuid || !getegid || !seteuid || !setegid || geteuid() !== 0) return run()
  const { uid, gid } = await stat(stateDir)
  if (uid === 0) return run()
  const group = getegid()
  setegid(gid)
  seteuid(uid)
  try {
    return await run()
  } finally {
    seteuid(0)
    setegid(group)
  }
}
