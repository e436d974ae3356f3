import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  MAX_ADDRESSES,
  MAX_MEMORIES,
  type MemoryEntry,
  PathMemory,
  type RememberedAddress,
} from '../../../../agent/session/path-memory.ts'
import {
  decodeMemories,
  encodeMemories,
  openPathMemory,
  SAVE_AFTER_MS,
} from '../../../../agent/session/path-memory-file.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { type PeerId, peerIdFromBytes } from '../../../../common/wire/peer-id.ts'
import { FakeClock } from '../../fake-clock.ts'

const idOf = (n: number): PeerId => peerIdFromBytes(Buffer.alloc(32, n))
const LAPTOP = idOf(1)
const PHONE = idOf(2)

function scene(entries: readonly MemoryEntry[] = []) {
  const at: { network: string | undefined } = { network: 'home' }
  let changes = 0
  const memory = new PathMemory(
    () => at.network,
    entries,
    () => changes++,
  )
  return { at, memory, changes: () => changes }
}

function addressOf(n: number): RememberedAddress {
  return { how: 'mapped', endpoint: { address: `198.51.100.${n}`, port: 4000 } }
}

test('what a peer taught is known in that network, with that peer, and nowhere else', t => {
  const { at, memory } = scene()
  memory.learn(LAPTOP, { way: 'tcp/punched' })
  t.deepEqual(memory.recall(PHONE), {})
  t.is(memory.recall(LAPTOP).way, 'tcp/punched')
  at.network = 'office'
  t.deepEqual(memory.recall(LAPTOP), {})
})

test('one lesson leaves the others', t => {
  const { memory } = scene()
  memory.learn(LAPTOP, { way: 'none', hard: 'birthday' })
  memory.learn(LAPTOP, { bulk: 'udx' })
  memory.learn(LAPTOP, { way: 'udx/punched' })
  const { way, hard, bulk } = memory.recall(LAPTOP)
  t.deepEqual([way, hard, bulk], ['udx/punched', 'birthday', 'udx'])
})

test('nothing is learnt while the network has no name yet', t => {
  const { at, memory, changes } = scene()
  at.network = undefined
  memory.learn(LAPTOP, { way: 'none' })
  t.deepEqual(memory.entries, [])
  t.is(changes(), 0)
})

test('only what is new is a change', t => {
  const { memory, changes } = scene()
  for (let n = 0; n < 3; n++) memory.learn(LAPTOP, { way: 'none' })
  memory.learnAddress(LAPTOP, addressOf(1))
  memory.learnAddress(LAPTOP, addressOf(1))
  t.is(changes(), 2)
})

test('the newest addresses are kept, those of this network first', t => {
  const { at, memory } = scene()
  for (let n = 1; n <= MAX_ADDRESSES + 1; n++) memory.learnAddress(LAPTOP, addressOf(n))
  t.deepEqual(memory.addresses(LAPTOP), [4, 3, 2].map(addressOf))
  at.network = 'office'
  memory.learnAddress(LAPTOP, addressOf(9))
  t.deepEqual(memory.addresses(LAPTOP), [9, 4, 3].map(addressOf))
  at.network = undefined
  t.deepEqual(memory.addresses(LAPTOP), [9, 4, 3].map(addressOf))
  t.deepEqual(memory.addresses(PHONE), [])
})

test('the memory that was not touched for the longest is dropped', t => {
  const { memory } = scene()
  for (let n = 0; n < MAX_MEMORIES; n++) memory.learn(idOf(n), { way: 'none' })
  memory.learn(idOf(0), { way: 'none' })
  memory.learn(idOf(200), { way: 'none' })
  t.is(memory.entries.length, MAX_MEMORIES)
  t.is(memory.recall(idOf(0)).way, 'none')
  t.deepEqual(memory.recall(idOf(1)), {})
})

test('a file gives back what was written to it', t => {
  const entries: readonly MemoryEntry[] = [
    { peer: LAPTOP, network: 'ab12', addresses: [addressOf(1)], way: 'tcp/mapped', bulk: 'tcp' },
    { peer: PHONE, network: 'ab12', addresses: [], way: 'none', hard: 'none' },
  ]
  t.deepEqual(decodeMemories(encodeMemories(entries)), entries)
})

test('the largest memory fits into its file', t => {
  const endpoint = { address: '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', port: 65_535 }
  const addresses = Array.from({ length: MAX_ADDRESSES }, () => ({ how: 'public', endpoint }) as const)
  const entries = Array.from({ length: MAX_MEMORIES }, (_, n) => ({
    peer: idOf(n),
    network: 'f'.repeat(24),
    way: 'datachannel/punched' as const,
    hard: 'x'.repeat(64),
    bulk: 'udx' as const,
    addresses,
  }))
  t.is(decodeMemories(encodeMemories(entries))?.length, MAX_MEMORIES)
})

for (const text of [
  '',
  'null',
  '{}',
  '{"version":2,"paths":[]}',
  '{"version":1,"paths":[{"peer":"x","network":"n","addresses":[]}]}',
  `{"version":1,"paths":[{"peer":"${LAPTOP}","network":"n","way":"pipe/relay","addresses":[]}]}`,
  `{"version":1,"paths":[{"peer":"${LAPTOP}","network":"n","addresses":[{"how":"lan","endpoint":"nowhere"}]}]}`,
  `{"version":1,"paths":[]}${' '.repeat(200_000)}`,
]) {
  test(`damaged: ${text.replace(LAPTOP, 'ID').trim()}`, t => t.is(decodeMemories(text), undefined))
}

async function keptScene(t: ExecutionContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-paths-'))
  t.teardown(() => rm(stateDir, { recursive: true }))
  const lines: string[] = []
  const clock = new FakeClock()
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const file = join(stateDir, 'paths.json')
  return { file, clock, lines, open: () => openPathMemory({ stateDir, clock, log, network: () => 'home' }) }
}

test('what was learnt is written at the end, and known the next time', async t => {
  const { open, file } = await keptScene(t)
  const first = await open()
  await first.close()
  await t.throwsAsync(readFile(file), { code: 'ENOENT' }, 'nothing was learnt')
  first.memory.learn(LAPTOP, { way: 'none' })
  await first.close()
  t.is((await open()).memory.recall(LAPTOP).way, 'none')
})

test('many lessons are one write in an hour', async t => {
  const { open, clock, file } = await keptScene(t)
  const { memory, close } = await open()
  for (let n = 0; n < 10; n++) memory.learn(idOf(n), { way: 'none' })
  t.is(clock.timers, 1)
  clock.advance(SAVE_AFTER_MS)
  await close()
  t.is(clock.timers, 0)
  t.is(decodeMemories(await readFile(file, 'utf8'))?.length, 10)
})

test('a damaged file is a warning and an empty memory', async t => {
  const { open, file, lines } = await keptScene(t)
  await writeFile(file, '{"version":1,"paths"')
  t.deepEqual((await open()).memory.entries, [])
  t.regex(lines.join(''), /damaged/)
})
