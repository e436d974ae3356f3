import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { join } from 'node:path'
import { aborting } from '../../../common/platform/aborting.ts'
import { writeFileAtomic } from '../../../common/platform/atomic-file.ts'
import type { Clock } from '../../../common/platform/clock.ts'
import { openUdpSocket } from '../../../common/platform/udp-socket.ts'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../common/wire/endpoint.ts'
import { noNodes } from './dht-directory.ts'
import { type Dht, runDht } from './dht-run.ts'

export const NODES_FILE = 'dht-nodes.json'
const MAX_FILE_BYTES = 4_096
const MAX_NODES = 24
/** Who has so many needs no names. */
const ENOUGH = 8
/** They come and go, and SD cards wear out by writing. */
const SAVE_APART_MS = 24 * 3_600_000

export interface DhtNodesOptions {
  readonly stateDir: string
  readonly clock: Clock
  /** `HOST:PORT`. */
  readonly bootstrap: () => readonly string[]
  readonly resolve: (hosts: readonly string[]) => Promise<readonly Endpoint[]>
}

/** Nodes of the DHT that answered lately, which a device without DNS begins with. */
export class DhtNodes {
  readonly #options: DhtNodesOptions
  #nodes: readonly Endpoint[] | undefined
  #savedAt = Number.NEGATIVE_INFINITY

  constructor(options: DhtNodesOptions) {
    this.#options = options
  }

  async run<T>(work: (dht: Dht) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, bootstrap, resolve } = this.#options
    this.#nodes ??= await this.#read()
    const named = this.#nodes.length < ENOUGH ? await aborting(resolve(bootstrap()), signal) : []
    const nodes = [...this.#nodes, ...named.filter(({ address }) => isIPv4(address))]
    if (nodes.length === 0) throw noNodes()
    const end = await runDht({ clock, open: () => openUdpSocket({ family: 4 }), nodes, signal }, work)
    // Where nobody answered, the names are asked the next time.
    this.#nodes = end.nodes.slice(0, MAX_NODES)
    if (this.#nodes.length === 0) throw noNodes()
    await this.#save()
    return end.result
  }

  async #read(): Promise<readonly Endpoint[]> {
    try {
      return decodeNodes(await readFile(join(this.#options.stateDir, NODES_FILE), 'utf8'))
    } catch {
      return []
    }
  }

  async #save(): Promise<void> {
    const { clock, stateDir } = this.#options
    if (clock.now() - this.#savedAt < SAVE_APART_MS) return
    this.#savedAt = clock.now()
    const text = `${JSON.stringify((this.#nodes ?? []).map(formatEndpoint))}\n`
    try {
      await writeFileAtomic(join(stateDir, NODES_FILE), text, 0o600)
    } catch {
      // They are found again by their names.
    }
  }
}

/** The nodes in the text of a file; of a damaged one, none. */
export function decodeNodes(text: string): readonly Endpoint[] {
  if (text.length > MAX_FILE_BYTES) return []
  try {
    const found: unknown = JSON.parse(text)
    if (!Array.isArray(found)) return []
    return found.slice(0, MAX_NODES).flatMap(node => (typeof node === 'string' ? (parseEndpoint(node) ?? []) : []))
  } catch {
    return []
  }
}
