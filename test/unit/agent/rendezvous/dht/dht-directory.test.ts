import test from 'ava'
import { DhtDirectory } from '../../../../../agent/rendezvous/dht/dht-directory.ts'
import { dhtItem, epochAt, openSealed, sealRecord } from '../../../../../agent/rendezvous/dht/dht-item.ts'
import type { Dht } from '../../../../../agent/rendezvous/dht/dht-run.ts'
import { CulvertError } from '../../../../../common/errors.ts'
import { createLog } from '../../../../../common/platform/log.ts'
import { systemRandom } from '../../../../../common/platform/random.ts'
import type { PeerId } from '../../../../../common/wire/peer-id.ts'
import { RECORD_HEX } from '../../../../vectors/address-records.ts'
import { ALICE, BOB, fromHex } from '../../../../vectors/keys.ts'
import { FakeClock } from '../../../fake-clock.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SECRET = new Uint8Array(32).fill(0x5e)
const RECORD = new Uint8Array(fromHex(RECORD_HEX))

class Late extends FakeClock {
  override wallNow(): number {
    return Date.UTC(2026, 5) + this.now()
  }
}

function bench(clock: FakeClock = new Late()) {
  const items = new Map<PeerId, { readonly value: Uint8Array; readonly sequence: number }>()
  const taken: Uint8Array[] = []
  const state = { enabled: true, works: true, present: false, runs: 0, puts: 0, gets: 0 }
  const dht: Dht = {
    async get(key) {
      state.gets++
      return items.get(key)?.value
    },
    async put(key, value, sequence) {
      state.puts++
      items.set(key.id, { value, sequence })
      return 8
    },
  }
  const directory = new DhtDirectory({
    clock,
    random: systemRandom,
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    ownId: ALICE.id,
    enabled: () => state.enabled,
    ownRecord: () => RECORD,
    secrets: () => [SECRET],
    secretOf: () => SECRET,
    isPresent: () => state.present,
    take: bytes => {
      if (bytes.length < 100) throw new CulvertError('wire-malformed', 'none')
      taken.push(bytes)
    },
    run: async work => {
      state.runs++
      if (!state.works) throw new Error('no answer')
      return work(dht)
    },
  })
  directory.changed()
  /** Lets time pass, and what falls due be done. */
  const pass = async (ms: number) => {
    clock.advance(ms)
    await new Promise(setImmediate)
  }
  const seek = async (peer: PeerId) => {
    const soughtFor = directory.source.seek?.(peer, new AbortController().signal)
    await pass(2_000)
    await soughtFor
  }
  const lay = (peer: PeerId, epoch: number, record = RECORD) => {
    const item = dhtItem(SECRET, peer, epoch)
    const value = sealRecord(item, record, systemRandom)
    if (value) items.set(item.key.id, { value, sequence: 1 })
  }
  return { clock, directory, items, taken, state, pass, seek, lay }
}

test('our record is told soon after the start, before nodes forget it, and under another key each day', async t => {
  const it = bench()
  await it.pass(14_000)
  t.is(it.state.puts, 0)
  await it.pass(2_000)
  t.is(it.state.puts, 1)
  const item = dhtItem(SECRET, ALICE.id, epochAt(it.clock.wallNow()))
  const told = it.items.get(item.key.id)
  t.deepEqual(told && openSealed(item, told.value), RECORD)
  for (let minute = 0; minute < 26 * 60; minute++) await it.pass(MINUTE)
  t.true(it.state.puts >= 19 && it.state.puts <= 24, `${it.state.puts} in 26 hours`)
  t.is(it.items.size, 2)
  await it.directory.close()
  t.is(it.clock.timers, 0)
})

test('a new record is told again, but not in a row', async t => {
  const it = bench()
  await it.pass(16_000)
  for (let second = 0; second < 30 * 60; second++) {
    it.directory.changed()
    await it.pass(1_000)
  }
  t.true(it.state.puts >= 3 && it.state.puts <= 4, `${it.state.puts} in half an hour`)
})

test('while it is off nothing is told, looked for or on a timer', async t => {
  const it = bench()
  await it.directory.close()
  const off = bench()
  off.state.enabled = false
  await off.pass(16_000)
  await off.seek(BOB.id)
  t.is(off.state.runs, 0)
  t.is(off.directory.state, 'off')
  t.is(off.clock.timers, 0)
  off.state.enabled = true
  off.directory.changed()
  await off.pass(16_000)
  t.is(off.state.puts, 1)
})

test('a peer that nothing else finds is looked for, today and yesterday, and more and more rarely', async t => {
  const it = bench()
  await it.seek(BOB.id)
  t.is(it.state.gets, 2)
  t.deepEqual(it.taken, [])
  for (let second = 0; second < 4 * 3600; second += 20) {
    await it.seek(BOB.id)
    await it.pass(18_000)
  }
  t.true(it.state.gets <= 2 * 14, `${it.state.gets} in four hours`)
  it.lay(BOB.id, epochAt(it.clock.wallNow()) - 1)
  await it.pass(HOUR)
  await it.seek(BOB.id)
  t.deepEqual(it.taken, [RECORD])
})

test('nobody is looked for who is there, who is found meanwhile, or by a clock that was never set', async t => {
  const it = bench()
  it.state.present = true
  await it.seek(BOB.id)
  it.state.present = false
  const stop = new AbortController()
  const soughtFor = it.directory.source.seek?.(BOB.id, stop.signal)
  stop.abort()
  await soughtFor
  t.is(it.state.gets, 0)
  const unset = bench(new FakeClock(-1_600_000_000_000))
  await unset.seek(BOB.id)
  await unset.pass(HOUR)
  t.is(unset.state.runs, 0)
})

test('what a member wrote in the place of another one, and a DHT that is away, end nothing', async t => {
  const it = bench()
  it.lay(BOB.id, epochAt(it.clock.wallNow()), RECORD.subarray(0, 50))
  await it.seek(BOB.id)
  t.deepEqual(it.taken, [])
  it.state.works = false
  await it.pass(3 * HOUR)
  const { runs } = it.state
  t.true(runs >= 3)
  t.is(it.directory.state, 'silent')
  it.state.works = true
  await it.pass(2 * HOUR)
  t.true(it.state.puts > 0)
  t.is(it.directory.state, 'answers')
})
