import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf, systemCodeOf } from '../../common/errors.ts'
import { openAddressRecord } from '../../common/platform/address-record-proof.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Log } from '../../common/platform/log.ts'
import type { AddressRecord } from '../../common/wire/address-record.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

export const OWN_RECORD_FILE = 'address-record'

/** The last record that this device made of itself; undefined when there is none, or it is damaged. */
export async function readOwnRecord(
  stateDir: string,
  ownId: PeerId,
  log: Log,
): Promise<{ readonly record: AddressRecord; readonly bytes: Uint8Array } | undefined> {
  const path = join(stateDir, OWN_RECORD_FILE)
  try {
    const bytes = new Uint8Array(await readFile(path))
    const record = openAddressRecord(bytes)
    if (record.peer === ownId) return { record, bytes }
    log.warn(`${path} is of another identity; a new one is made`)
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') log.warn(`cannot use ${path}`, { reason: reasonOf(thrown) })
  }
  return undefined
}

export async function writeOwnRecord(stateDir: string, bytes: Uint8Array, log: Log): Promise<void> {
  const path = join(stateDir, OWN_RECORD_FILE)
  try {
    await writeFileAtomic(path, bytes, 0o600)
  } catch (thrown) {
    log.warn(`cannot write ${path}`, { reason: reasonOf(thrown) })
  }
}
