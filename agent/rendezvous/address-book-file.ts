import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { reasonOf, systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { MAX_ADDRESS_RECORD_BYTES, readAddressRecord } from '../../common/wire/address-record.ts'
import { AddressBook, type AddressBookOptions, type KeptRecord, MAX_RECORDS } from './address-book.ts'

export const BOOK_FILE = 'address-book.json'
/** SD cards wear out by writing: what is new is kept soon, but seldom; that the same still holds, hourly. */
const SAVE_MS = { soon: 10_000, apart: 10 * 60_000, same: 3_600_000 } as const
const MAX_BASE64 = Math.ceil(MAX_ADDRESS_RECORD_BYTES / 3) * 4
const MAX_FILE_BYTES = MAX_RECORDS * (MAX_BASE64 + 64)

const schema = z.object({
  version: z.literal(1),
  sum: z.string(),
  records: z
    .array(z.tuple([z.enum(['peer', 'member', 'dht']), z.number(), z.string().check(z.maxLength(MAX_BASE64))]))
    .check(z.maxLength(MAX_RECORDS)),
})

export interface KeptAddressBook {
  readonly book: AddressBook
  /** Writes what is not on the disk yet. */
  close(): Promise<void>
}

/** A book that outlives the agent. A damaged file is only a warning: peers tell their addresses whenever they meet. */
export async function openAddressBook(
  place: { readonly stateDir: string; readonly clock: Clock; readonly log: Log },
  options: Omit<AddressBookOptions, 'wallNow'>,
): Promise<KeptAddressBook> {
  const { stateDir, clock, log } = place
  const path = join(stateDir, BOOK_FILE)
  let timer: Timer | undefined
  let dueAt = Number.POSITIVE_INFINITY
  let savedAt = Number.NEGATIVE_INFINITY
  let saving = Promise.resolve()
  const write = async () => {
    timer?.cancel()
    if (dueAt === Number.POSITIVE_INFINITY) return
    dueAt = Number.POSITIVE_INFINITY
    savedAt = clock.now()
    try {
      await writeFileAtomic(path, encodeBook(book.list()), 0o600)
    } catch (thrown) {
      log.warn(`cannot write ${path}`, { reason: reasonOf(thrown) })
    }
  }
  const save = () => {
    saving = saving.then(write)
    return saving
  }
  const saveIn = (delayMs: number) => {
    const at = Math.max(clock.now() + delayMs, savedAt + SAVE_MS.apart)
    if (at >= dueAt) return
    dueAt = at
    timer?.cancel()
    timer = clock.after(at - clock.now(), () => void save())
  }
  const book = new AddressBook(
    {
      ...options,
      wallNow: () => clock.wallNow(),
      onNew: (kept, changed) => {
        saveIn(changed ? SAVE_MS.soon : SAVE_MS.same)
        options.onNew(kept, changed)
      },
    },
    await readBook(path, log),
  )
  return { book, close: save }
}

export function encodeBook(kept: readonly KeptRecord[]): string {
  const records = kept.map(({ from, heardAt, bytes }) => [from, heardAt, Buffer.from(bytes).toString('base64')])
  return `${JSON.stringify({ version: 1, sum: sumOf(records), records })}\n`
}

/** The records in the text of a file, or undefined when it is damaged. Who could forge the sum could write anything. */
export function decodeBook(text: string): readonly KeptRecord[] | undefined {
  if (text.length > MAX_FILE_BYTES) return undefined
  try {
    const { sum, records } = schema.parse(JSON.parse(text))
    if (sum !== sumOf(records)) return undefined
    return records.map(([from, heardAt, base64]) => {
      const bytes = new Uint8Array(Buffer.from(base64, 'base64'))
      const { peer, sequence } = readAddressRecord(bytes)
      return { peer, sequence, bytes, from, heardAt }
    })
  } catch {
    return undefined
  }
}

/** Instead of the signatures, which take a Pi a second for a large network. */
function sumOf(records: unknown): string {
  return createHash('sha256').update(JSON.stringify(records)).digest('hex').slice(0, 32)
}

async function readBook(path: string, log: Log): Promise<readonly KeptRecord[]> {
  try {
    const kept = decodeBook(await readFile(path, 'utf8'))
    if (kept === undefined) log.warn(`${path} was damaged; addresses of peers are learnt again when they are met`)
    return kept ?? []
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') log.warn(`cannot read ${path}`, { reason: reasonOf(thrown) })
    return []
  }
}
