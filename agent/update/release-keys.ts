import { readFile, stat } from 'node:fs/promises'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'

/**
 * Whose releases every machine takes: public keys, as `scripts/sign-release --make-key` prints them. Whoever publishes
 * releases puts the own key here; two of them while one takes the other's place.
 */
const BUILT_IN: readonly PeerId[] = []

export const KEYS_FILE = '/etc/culvert/release-keys'

/** The keys that are built in and those of a file, one a line, `#` before words; the default file need not be there. */
export async function releaseKeys(file: string | undefined): Promise<readonly PeerId[]> {
  const path = file ?? KEYS_FILE
  const keys = [...BUILT_IN, ...(await keysIn(path, file !== undefined))]
  if (keys.length > 0) return keys
  const remedy = `write the public key of whoever signs your releases into ${path}`
  throw new CulvertError('bad-config', `this machine knows no release key, so it takes no update; ${remedy}`)
}

async function keysIn(path: string, mustBeThere: boolean): Promise<readonly PeerId[]> {
  let text: string
  try {
    if (((await stat(path)).mode & 0o022) !== 0) {
      throw new CulvertError('bad-config', `${path} may be changed by others than its owner; run: chmod go-w ${path}`)
    }
    text = await readFile(path, 'utf8')
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    if (!mustBeThere && systemCodeOf(thrown) === 'ENOENT') return []
    throw new CulvertError('bad-config', `cannot read ${path}: ${reasonOf(thrown)}`, { cause: thrown })
  }
  const lines = text.split('\n').map(line => line.replace(/#.*/, '').trim())
  return lines.flatMap((line, i) => (line === '' ? [] : [keyIn(line, `${path}, line ${i + 1}`)]))
}

function keyIn(line: string, place: string): PeerId {
  const key = parsePeerId(line)
  if (key) return key
  const remedy = 'write the 52 characters that "scripts/sign-release --make-key" printed, or remove the line'
  throw new CulvertError('bad-config', `${place}: "${line.slice(0, 60)}" is no release key; ${remedy}`)
}
