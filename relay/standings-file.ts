import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf, systemCodeOf } from '../common/errors.ts'
import { writeFileAtomic } from '../common/platform/atomic-file.ts'
import type { Clock, Timer } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import { type Chain, encodeChain, MAX_CHAIN_BYTES } from '../common/wire/membership.ts'
import { chainIn } from './membership-claim.ts'

export const STANDINGS_FILE = 'removals'
/** A chain is longer than one byte can tell. */
const LENGTH_BYTES = 2
/** A disk is not written to for each of many removals. */
const WRITE_AFTER_MS = 1_000

/** The chains that a relay remembers, each behind its length; proven before they were written. */
export async function readStandings(stateDir: string, log: Log): Promise<readonly Chain[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(join(stateDir, STANDINGS_FILE))
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') {
      log.error('what networks told about removed peers cannot be read', { why: reasonOf(thrown) })
    }
    return []
  }
  return chainsIn(bytes)
}

/** What a file holds, up to the first place that is damaged. */
export function chainsIn(bytes: Buffer): readonly Chain[] {
  const chains: Chain[] = []
  for (let at = 0; at + LENGTH_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16BE(at)
    const chain =
      length <= MAX_CHAIN_BYTES ? chainIn(bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)) : undefined
    if (!chain) break
    chains.push(chain)
    at += LENGTH_BYTES + length
  }
  return chains
}

export function fileOf(chains: Iterable<Chain>): Buffer {
  const parts: Buffer[] = []
  for (const chain of chains) {
    const bytes = encodeChain(chain)
    parts.push(Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes)
  }
  return Buffer.concat(parts)
}

/** Writes them a moment after each change, one after the other. */
export class StandingsKeeper {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #content: () => Buffer
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(stateDir: string, clock: Clock, log: Log, content: () => Buffer) {
    this.#path = join(stateDir, STANDINGS_FILE)
    this.#clock = clock
    this.#log = log
    this.#content = content
  }

  changed(): void {
    this.#timer ??= this.#clock.after(WRITE_AFTER_MS, () => void this.#write())
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    if (this.#timer) await this.#write()
    await this.#writing
  }

  #write(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#writing = this.#writing.then(async () => {
      try {
        await writeFileAtomic(this.#path, this.#content(), 0o600)
      } catch (thrown) {
        this.#log.error('removed peers are not remembered over a restart', { why: reasonOf(thrown) })
      }
    })
    return this.#writing
  }
}
