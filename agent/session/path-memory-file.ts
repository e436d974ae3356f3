import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { reasonOf, systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { formatEndpoint, parseEndpoint } from '../../common/wire/endpoint.ts'
import { parsePeerId } from '../../common/wire/peer-id.ts'
import {
  MAX_ADDRESSES,
  MAX_HARD_LENGTH,
  MAX_MEMORIES,
  type MemoryEntry,
  PathMemory,
  type RememberedWay,
} from './path-memory.ts'

export const PATHS_FILE = 'paths.json'
/** SD cards wear out by writing. */
export const SAVE_AFTER_MS = 3_600_000
/** The largest that we write is smaller than half of this. */
const MAX_FILE_BYTES = 128 * 1024

const HOWS = ['lan', 'public', 'ipv6', 'mapped'] as const

const schema = z.object({
  version: z.literal(1),
  paths: z
    .array(
      z.object({
        peer: z.pipe(z.string(), z.transform(toPeerId)),
        network: z.string().check(z.maxLength(32)),
        way: z.optional(z.string().check(z.regex(/^none$|^(tcp|udx|datachannel)\/(lan|public|ipv6|mapped|punched)$/))),
        hard: z.optional(z.string().check(z.maxLength(MAX_HARD_LENGTH))),
        bulk: z.optional(z.enum(['tcp', 'udx'])),
        addresses: z
          .array(z.object({ how: z.enum(HOWS), endpoint: z.pipe(z.string(), z.transform(toEndpoint)) }))
          .check(z.maxLength(MAX_ADDRESSES)),
      }),
    )
    .check(z.maxLength(MAX_MEMORIES)),
})

export interface PathMemoryOptions {
  readonly stateDir: string
  readonly clock: Clock
  readonly log: Log
  /** Names the network that we are in, as far as that is known. */
  readonly network: () => string | undefined
}

/** A memory that outlives the agent. Its file is written when something changed, at most once an hour, and at the end. */
export interface KeptPathMemory {
  readonly memory: PathMemory
  close(): Promise<void>
}

/** A damaged file is only a warning: what was learnt is learnt again. */
export async function openPathMemory(options: PathMemoryOptions): Promise<KeptPathMemory> {
  const { stateDir, clock, log, network } = options
  const path = join(stateDir, PATHS_FILE)
  let timer: Timer | undefined
  let dirty = false
  let saving = Promise.resolve()
  const write = async () => {
    timer?.cancel()
    timer = undefined
    if (!dirty) return
    dirty = false
    try {
      await writeFileAtomic(path, encodeMemories(memory.entries), 0o600)
    } catch (thrown) {
      log.warn(`cannot write ${path}`, { reason: reasonOf(thrown) })
    }
  }
  const save = () => {
    saving = saving.then(write)
    return saving
  }
  const memory = new PathMemory(network, await readMemories(path, log), () => {
    dirty = true
    timer ??= clock.after(SAVE_AFTER_MS, () => void save())
  })
  return { memory, close: save }
}

export function encodeMemories(entries: readonly MemoryEntry[]): string {
  const paths = entries.map(entry => ({
    ...entry,
    addresses: entry.addresses.map(({ how, endpoint }) => ({ how, endpoint: formatEndpoint(endpoint) })),
  }))
  return `${JSON.stringify({ version: 1, paths })}\n`
}

/** What the text of a file remembers, or undefined when it is damaged. */
export function decodeMemories(text: string): readonly MemoryEntry[] | undefined {
  if (text.length > MAX_FILE_BYTES) return undefined
  try {
    return schema.parse(JSON.parse(text)).paths.map(({ way, hard, bulk, ...entry }) => ({
      ...entry,
      ...(way === undefined ? {} : { way: way as RememberedWay | 'none' }),
      ...(hard === undefined ? {} : { hard }),
      ...(bulk === undefined ? {} : { bulk }),
    }))
  } catch {
    return undefined
  }
}

async function readMemories(path: string, log: Log): Promise<readonly MemoryEntry[]> {
  try {
    const entries = decodeMemories(await readFile(path, 'utf8'))
    if (entries === undefined) log.warn(`${path} was damaged; what it remembered of paths is learnt again`)
    return entries ?? []
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') log.warn(`cannot read ${path}`, { reason: reasonOf(thrown) })
    return []
  }
}

function toPeerId(text: string) {
  const id = parsePeerId(text)
  if (!id) throw new TypeError('not a peer id')
  return id
}

function toEndpoint(text: string) {
  const endpoint = parseEndpoint(text)
  if (!endpoint) throw new TypeError('not an endpoint')
  return endpoint
}
