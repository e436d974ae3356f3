import { createHash } from 'node:crypto'
import { type Duplex, duplexPair } from 'node:stream'
import test from 'ava'
import fc from 'fast-check'
import { openExchange, sayNews, serveExchange } from '../../../../agent/service/sync-exchange.ts'
import type { SyncItem, SyncSet } from '../../../../agent/service/sync-set.ts'
import { CulvertError } from '../../../../common/errors.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'
import { encodeSync, type SyncMessage } from '../../../../common/wire/sync-message.ts'
import { keyOf } from '../trust/statements.ts'

const PEER = keyOf(9).id

/** A set of texts. */
class TextSet implements SyncSet {
  readonly number: number
  readonly texts: Set<string>
  readonly from: PeerId[] = []
  taken = 0

  constructor(texts: Iterable<string>, number = 1) {
    this.number = number
    this.texts = new Set(texts)
  }

  get revision(): number {
    return this.texts.size
  }

  *items(): IterableIterator<SyncItem> {
    for (const text of this.texts) yield itemOf(text)
  }

  take(items: readonly Uint8Array[], from: PeerId): Promise<void> {
    for (const item of items) this.texts.add(Buffer.from(item).toString())
    this.taken += items.length
    this.from.push(from)
    return Promise.resolve()
  }
}

function itemOf(text: string): SyncItem {
  const id = createHash('sha256').update(text).digest().toString('latin1', 0, 16)
  return { id, encode: () => Buffer.from(text) }
}

/** Both ends exchange; resolves with the bytes that went each way. */
async function exchange(
  here: readonly TextSet[],
  there: readonly TextSet[],
): Promise<readonly [out: number, back: number]> {
  const [a, b] = duplexPair()
  const counts = [countOf(a), countOf(b)] as const
  await Promise.all([
    openExchange(a, here, PEER),
    serveExchange(b, new Map(there.map(set => [set.number, set])), keyOf(8).id),
  ])
  return [counts[0](), counts[1]()]
}

function countOf(stream: Duplex): () => number {
  let bytes = 0
  const write = stream.write.bind(stream)
  stream.write = ((chunk: Buffer) => {
    bytes += chunk.length
    return write(chunk)
  }) as Duplex['write']
  return () => bytes
}

const many = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `item ${from + n} ${'x'.repeat(250)}`)

test('two that have the same say so in forty bytes', async t => {
  const [out, back] = await exchange([new TextSet(many(10_000))], [new TextSet(many(10_000))])
  t.deepEqual([out, back], [22, 6])
})

test('of 10,000 items the one that is missing is found in four kilobytes, on either side', async t => {
  const [less, more] = [new TextSet(many(9_999)), new TextSet(many(10_000))]
  const [out, back] = await exchange([less], [more])
  t.log(`${out} + ${back} bytes`)
  t.true(out + back < 4_000, `${out + back}`)
  t.deepEqual([less.texts.size, less.taken], [10_000, 1])
  t.deepEqual(less.from, [PEER])
  const other = new TextSet(many(9_999))
  const [out2, back2] = await exchange([more], [other])
  t.true(out2 + back2 < 4_000, `${out2 + back2}`)
  t.deepEqual([other.texts.size, other.taken], [10_000, 1])
})

test('who has nothing gets everything, and several sets go over one stream', async t => {
  const [empty, full] = [new TextSet([]), new TextSet(many(3_000))]
  const [second, third] = [new TextSet(['a'], 2), new TextSet(['b'], 2)]
  await exchange([empty, second], [full, third])
  t.is(empty.texts.size, 3_000)
  t.deepEqual([...second.texts].toSorted(), ['a', 'b'])
  t.deepEqual([...third.texts].toSorted(), ['a', 'b'])
})

test('a set that only one of them knows is left out', async t => {
  const set = new TextSet(['a'])
  await exchange([new TextSet(['x'], 7), set], [new TextSet(['b'])])
  t.deepEqual([...set.texts].toSorted(), ['a', 'b'])
})

test('whatever both have, both have all of it afterwards, and nothing goes over that is known', async t => {
  const texts = fc.array(fc.constantFrom(...many(40)), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(texts, texts, async (mine, theirs) => {
      const [a, b] = [new TextSet(mine), new TextSet(theirs)]
      const both = [...new Set([...mine, ...theirs])].toSorted()
      const missing = [both.length - a.texts.size, both.length - b.texts.size]
      await exchange([a], [b])
      t.deepEqual([...a.texts].toSorted(), both)
      t.deepEqual([...b.texts].toSorted(), both)
      t.deepEqual([a.taken, b.taken], missing)
    }),
    { numRuns: 100 },
  )
})

test('news are taken without a question', async t => {
  const [a, b] = duplexPair()
  const set = new TextSet([])
  sayNews(a, 1, many(500).map(itemOf))
  a.resume()
  await serveExchange(b, new Map([[1, set]]), PEER)
  t.is(set.texts.size, 500)
})

const id = 'i'.repeat(16)
const wrong: readonly (readonly [words: string, messages: readonly SyncMessage[]])[] = [
  ['items before the answer', [{ kind: 'items', set: 1, items: [] }]],
  ['an answer about another set', [{ kind: 'same', set: 2 }]],
  ['the end where an answer is due', []],
  [
    'a digest where items are due',
    [
      { kind: 'buckets', set: 1, buckets: new Uint8Array(2048) },
      { kind: 'digest', set: 1, digest: new Uint8Array(16) },
    ],
  ],
  [
    'wishes without end',
    [
      { kind: 'buckets', set: 1, buckets: new Uint8Array(2048) },
      ...Array.from({ length: 20 }, (_, part) => ({
        kind: 'want' as const,
        set: 1,
        ids: Array.from({ length: 4_000 }, (__, n) => `${id.slice(8)}${String(part * 4_000 + n).padStart(8, '0')}`),
      })),
    ],
  ],
]
for (const [words, messages] of wrong) {
  test(`the opener ends with an error: ${words}`, async t => {
    const [a, b] = duplexPair()
    b.resume()
    for (const message of messages) b.write(encodeSync(message))
    b.end()
    await t.throwsAsync(openExchange(a, [new TextSet(['a'])], PEER), {
      instanceOf: CulvertError,
      code: 'wire-malformed',
    })
    a.destroy()
  })
}

test('the other end does not keep ids without end, and ends when a message is cut off', async t => {
  const flood = Array.from({ length: 20 }, (_, part) => ({
    kind: 'ids' as const,
    set: 1,
    bucket: 0x69,
    ids: Array.from({ length: 4_000 }, (__, n) => `${id.slice(8)}${String(part * 4_000 + n).padStart(8, '0')}`),
  }))
  const [a, b] = duplexPair()
  const served = serveExchange(b, new Map([[1, new TextSet(['a'])]]), PEER)
  a.resume()
  a.write(encodeSync({ kind: 'digest', set: 1, digest: new Uint8Array(16) }))
  for (const message of flood) a.write(encodeSync(message))
  await t.throwsAsync(served, { code: 'wire-malformed' })
  a.destroy()
  b.destroy()
  const [c, d] = duplexPair()
  const cut = serveExchange(d, new Map([[1, new TextSet(['a'])]]), PEER)
  c.resume()
  c.end(encodeSync({ kind: 'digest', set: 1, digest: new Uint8Array(16) }).subarray(0, 9))
  await t.throwsAsync(cut, { code: 'wire-malformed' })
})

const digest: SyncMessage = { kind: 'digest', set: 1, digest: new Uint8Array(16) }
const undue: readonly (readonly [words: string, messages: readonly SyncMessage[]])[] = [
  ['what only the answer says', [{ kind: 'done', set: 1 }]],
  ['ids of a set that was not begun', [{ kind: 'ids', set: 1, bucket: 0, ids: [] }]],
  ['the end of ids of another set', [digest, { kind: 'asked', set: 2 }]],
  ['the same question a second time', [digest, { kind: 'asked', set: 1 }, { kind: 'asked', set: 1 }]],
  ['a set begun a second time', [digest, digest]],
  ['more messages than a set can take', Array.from({ length: 16_385 }, () => ({ kind: 'items', set: 1, items: [] }))],
]
for (const [words, messages] of undue) {
  test(`the other end ends with an error: ${words}`, async t => {
    const [a, b] = duplexPair()
    a.resume()
    a.write(Buffer.concat(messages.map(encodeSync)))
    a.end()
    await t.throwsAsync(serveExchange(b, new Map([[1, new TextSet(['a'])]]), PEER), { code: 'wire-malformed' })
    b.destroy()
  })
}

test('however many messages are here already, all else gets its turn between them', async t => {
  const [a, b] = duplexPair()
  a.resume()
  let turns = 0
  let served = false
  const turn = () => {
    turns++
    if (!served) setImmediate(turn)
  }
  setImmediate(turn)
  a.end(Buffer.concat(Array.from({ length: 1_000 }, () => encodeSync({ kind: 'items', set: 9, items: [] }))))
  await serveExchange(b, new Map([[1, new TextSet(['a'])]]), PEER)
  served = true
  t.true(turns >= 1_000, `${turns}`)
})
