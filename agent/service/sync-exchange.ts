import type { Duplex } from 'node:stream'
import { CulvertError } from '../../common/errors.ts'
import { sameBytes } from '../../common/wire/bytes.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  decodeSync,
  encodeSync,
  MAX_IDS_PER_MESSAGE,
  MAX_SYNC_PAYLOAD_BYTES,
  SYNC_HEAD_BYTES,
  type SyncMessage,
  syncPayloadBytes,
} from '../../common/wire/sync-message.ts'
import { bucketOf, digestOfSet, type SetDigest, type SyncItem, type SyncSet } from './sync-set.ts'

/** No set is larger; who says so wants our memory. */
const MAX_IDS = 65_536
const MAX_ITEMS = 65_536
/** A set of that size, in items as large as they may be, is told in some 5,000. */
const MAX_MESSAGES = 16_384
/** Of a message of items; the last one may go beyond. */
const ITEMS_BYTES = MAX_SYNC_PAYLOAD_BYTES - 8 * 1024

/**
 * Makes the sets of both ends the same; resolves when all is told and taken. The opener says what it has, by digests, and
 * ids where those differ; the other one gives what the opener misses and asks for what it misses itself.
 */
export async function openExchange(stream: Duplex, sets: Iterable<SyncSet>, peer: PeerId): Promise<void> {
  const line = new SyncLine(stream)
  for (const set of sets) await reconcile(line, set, peer)
  stream.end()
  await line.end()
}

/** The other end of it; also takes items that nobody asked for: news. Any other message that is not due ends it. */
export async function serveExchange(stream: Duplex, sets: ReadonlyMap<number, SyncSet>, peer: PeerId): Promise<void> {
  const line = new SyncLine(stream)
  const begun = new Set<number>()
  let asked: Asked | undefined
  for (let message = await line.next(); message; message = await line.next()) {
    const set = sets.get(message.set)
    if (message.kind === 'digest' && !begun.has(message.set)) {
      begun.add(message.set)
      asked = set && new Asked(set)
      // One that only the opener knows is as good as the same.
      if (!asked || sameBytes(asked.digest.all, message.digest)) await line.say({ kind: 'same', set: message.set })
      else await line.say({ kind: 'buckets', set: message.set, buckets: asked.digest.buckets })
    } else if (message.kind === 'ids' && asked && asked.set === set) asked.note(message.bucket, message.ids)
    else if (message.kind === 'asked' && asked && asked.set === set) {
      await answer(line, asked)
      asked = undefined
    } else if (message.kind === 'items') await set?.take(message.items, peer)
    else throw new CulvertError('wire-malformed', `${message.kind} came, which is not due`)
  }
  stream.end()
}

/** Gives items away that nobody asked for; the stream is ended. */
export function sayNews(stream: Duplex, set: number, items: readonly SyncItem[]): void {
  for (const message of itemMessages(set, items)) stream.write(encodeSync(message))
  stream.end()
}

async function reconcile(line: SyncLine, set: SyncSet, peer: PeerId): Promise<void> {
  const digest = digestOfSet(set)
  await line.say({ kind: 'digest', set: set.number, digest: digest.all })
  const reply = await line.of(set.number, 'same', 'buckets')
  if (reply.kind !== 'buckets') return
  for (const bucket of digest.differing(reply.buckets)) {
    for (const ids of parts(digest.idsIn(bucket))) await line.say({ kind: 'ids', set: set.number, bucket, ids })
  }
  await line.say({ kind: 'asked', set: set.number })
  const wanted = new Set<string>()
  for (;;) {
    const message = await line.of(set.number, 'items', 'want', 'done')
    if (message.kind === 'done') break
    if (message.kind === 'items') await set.take(message.items, peer)
    else if (message.kind === 'want') for (const id of message.ids) wanted.add(id)
    if (wanted.size > MAX_IDS) throw tooMuch()
  }
  if (wanted.size > 0) await give(line, set, item => wanted.has(item.id))
}

async function answer(line: SyncLine, asked: Asked): Promise<void> {
  const { set, theirs } = asked
  await give(line, set, ({ id }) => asked.buckets.has(bucketOf(id)) && !theirs.has(id))
  for (const ids of parts([...theirs].filter(id => !asked.isOurs(id)))) {
    await line.say({ kind: 'want', set: set.number, ids })
  }
  await line.say({ kind: 'done', set: set.number })
}

async function give(line: SyncLine, set: SyncSet, which: (item: SyncItem) => boolean): Promise<void> {
  // As it is now: what changes meanwhile is told by itself.
  const items = [...set.items()].filter(which)
  for (const message of itemMessages(set.number, items)) await line.say(message)
}

function* itemMessages(set: number, items: readonly SyncItem[]): IterableIterator<SyncMessage> {
  let batch: Uint8Array[] = []
  let bytes = 0
  for (const item of items) {
    const encoded = item.encode()
    batch.push(encoded)
    bytes += 2 + encoded.length
    if (bytes < ITEMS_BYTES) continue
    yield { kind: 'items', set, items: batch }
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield { kind: 'items', set, items: batch }
}

function* parts(ids: readonly string[]): IterableIterator<readonly string[]> {
  for (let at = 0; at === 0 || at < ids.length; at += MAX_IDS_PER_MESSAGE) yield ids.slice(at, at + MAX_IDS_PER_MESSAGE)
}

/** What the opener has told of one set. */
class Asked {
  readonly set: SyncSet
  readonly digest: SetDigest
  readonly buckets = new Set<number>()
  readonly theirs = new Set<string>()

  constructor(set: SyncSet) {
    this.set = set
    this.digest = digestOfSet(set)
  }

  note(bucket: number, ids: readonly string[]): void {
    this.buckets.add(bucket)
    for (const id of ids) if (bucketOf(id) === bucket) this.theirs.add(id)
    if (this.theirs.size > MAX_IDS) throw tooMuch()
  }

  isOurs(id: string): boolean {
    return this.digest.idsIn(bucketOf(id)).includes(id)
  }
}

/** One end of a stream, as messages. */
class SyncLine {
  readonly #stream: Duplex
  readonly #chunks: Buffer[] = []
  #ended = false
  #wake: (() => void) | undefined
  #have: Buffer = Buffer.alloc(0)
  #items = 0
  #messages = 0

  constructor(stream: Duplex) {
    this.#stream = stream
    const change = () => {
      const wake = this.#wake
      this.#wake = undefined
      wake?.()
    }
    const end = () => {
      this.#ended = true
      change()
    }
    // Piece by piece: a stream that is asked for all that it has gives its peer no credit for what was taken last.
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      stream.pause()
      change()
    })
    stream.once('end', end)
    stream.once('close', end)
    if (stream.destroyed) end()
  }

  async say(message: SyncMessage): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed) throw new CulvertError('stream-reset', 'the exchange broke off')
    if (stream.write(encodeSync(message))) return
    await new Promise<void>(resolve => {
      const settle = () => {
        stream.off('drain', settle)
        stream.off('close', settle)
        resolve()
      }
      stream.on('drain', settle)
      stream.on('close', settle)
    })
  }

  /** The next message that is known; undefined at the end. */
  async next(): Promise<SyncMessage | undefined> {
    for (;;) {
      const head = await this.#take(SYNC_HEAD_BYTES, true)
      if (!head) return undefined
      if (++this.#messages > MAX_MESSAGES) throw tooMuch()
      // All that is here already would else be read before anything else gets its turn.
      await new Promise(resolve => setImmediate(resolve))
      const payload = await this.#take(syncPayloadBytes(head), false)
      const message = decodeSync(Buffer.concat([head, payload ?? Buffer.alloc(0)]))
      if (message?.kind === 'items') this.#items += message.items.length
      if (this.#items > MAX_ITEMS) throw tooMuch()
      if (message) return message
    }
  }

  /** The next message, which has to be about this set and one of these. */
  async of<K extends SyncMessage['kind']>(set: number, ...kinds: readonly K[]): Promise<SyncMessage & { kind: K }> {
    const message = await this.next()
    const isOne = (one: SyncMessage): one is SyncMessage & { kind: K } =>
      (kinds as readonly string[]).includes(one.kind)
    if (message?.set === set && isOne(message)) return message
    throw new CulvertError(
      'wire-malformed',
      `${message ? message.kind : 'the end'} came; due was ${kinds.join(' or ')}`,
    )
  }

  /** Waits until the other side ends, too. */
  async end(): Promise<void> {
    if ((await this.next()) !== undefined) throw new CulvertError('wire-malformed', 'a message after the end')
  }

  async #chunk(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0 && !this.#ended) {
      const changed = new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.#stream.resume()
      await changed
    }
    return this.#chunks.shift()
  }

  async #take(length: number, mayEnd: boolean): Promise<Buffer | undefined> {
    while (this.#have.length < length) {
      const chunk = await this.#chunk()
      if (!chunk) {
        if (mayEnd && this.#have.length === 0 && !this.#stream.errored) return undefined
        throw this.#stream.errored ?? new CulvertError('wire-malformed', 'the exchange ends in a message')
      }
      this.#have = this.#have.length === 0 ? chunk : Buffer.concat([this.#have, chunk])
    }
    const taken = Buffer.from(this.#have.subarray(0, length))
    this.#have = this.#have.subarray(length)
    return taken
  }
}

function tooMuch(): CulvertError {
  return new CulvertError('wire-malformed', 'the peer tells of more than a set can hold')
}
