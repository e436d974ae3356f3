import { createHash } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { StreamQuota } from '../../../../agent/service/stream-quota.ts'
import { type News, Sync, type SyncStream } from '../../../../agent/service/sync.ts'
import type { SyncItem, SyncSet } from '../../../../agent/service/sync-set.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { createLog } from '../../../../common/platform/log.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'
import { FakeClock } from '../../fake-clock.ts'
import { seededDraw } from '../../mutate.ts'
import { keyOf } from '../trust/statements.ts'

const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })

function itemOf(text: string): SyncItem {
  const id = createHash('sha256').update(text).digest().toString('latin1', 0, 16)
  return { id, encode: () => Buffer.from(text) }
}

const newsOf = (text: string, more: Partial<News> = {}): News => {
  return { set: 1, items: [itemOf(text)], from: undefined, urgent: false, spread: true, ...more }
}

/** Devices of one network in one process: whoever opens a stream reaches the other, with a session or without. */
class Network {
  readonly clock = new FakeClock()
  readonly devices: readonly Device[]
  readonly sessions = new Set<string>()
  readonly opened: string[] = []
  readonly draw = seededDraw(7)

  constructor(count: number) {
    this.devices = Array.from({ length: count }, (_, n) => new Device(this, keyOf(n + 1).id, `${n}`))
  }

  device(n: number): Device {
    const device = this.devices[n]
    if (!device) throw new Error(`no device ${n}`)
    return device
  }

  link(a: Device, b: Device): void {
    this.sessions.add(`${a.name} ${b.name}`).add(`${b.name} ${a.name}`)
    a.sync.onUp(b.id)
    b.sync.onUp(a.id)
  }

  /** Lets time pass, with whatever follows from it. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.advance(100)
      for (let turns = 0; turns < 6; turns++) await turn()
    }
  }

  close(): void {
    for (const { sync } of this.devices) sync.close()
  }
}

class Device {
  readonly id: PeerId
  readonly name: string
  readonly heard = new Set<string>()
  readonly rested: string[] = []
  readonly sync: Sync
  readonly #network: Network
  /** Those that answer it. */
  reaches: (other: Device) => boolean = () => true

  constructor(network: Network, id: PeerId, name: string) {
    this.id = id
    this.name = name
    this.#network = network
    const set: SyncSet = {
      number: 1,
      revision: undefined,
      items: () => [...this.heard].map(itemOf),
      take: (items, from) => {
        for (const item of items) this.hear(Buffer.from(item).toString(), from, true)
        return Promise.resolve()
      },
    }
    const others = () => network.devices.filter(other => other !== this)
    const linked = (other: Device) => network.sessions.has(`${this.name} ${other.name}`)
    const find = (peer: PeerId) => others().find(other => other.id === peer)
    this.sync = new Sync({
      ownId: id,
      clock: network.clock,
      random: {
        bytes: length => new Uint8Array(length),
        integer: (low, high) => low + network.draw(high - low),
      },
      log: QUIET,
      // A digest that is kept would not see what is heard.
      setsFor: peer => (find(peer) ? new Map([[1, { ...set, revision: {} }]]) : undefined),
      live: () => others().flatMap(other => (linked(other) ? [other.id] : [])),
      online: () => others().flatMap(other => (linked(other) || !this.reaches(other) ? [] : [other.id])),
      open: peer => {
        const other = find(peer)
        if (!other || !this.reaches(other)) return Promise.reject(new CulvertError('peer-offline', 'not there'))
        return Promise.resolve(this.#streamTo(other))
      },
      openNow: peer => {
        const other = find(peer)
        return other && linked(other) ? this.#streamTo(other) : undefined
      },
      rest: peer => this.rested.push(find(peer)?.name ?? ''),
    })
  }

  hear(text: string, from: PeerId | undefined, urgent = false): void {
    if (this.heard.has(text)) return
    this.heard.add(text)
    this.sync.tell(newsOf(text, { from, urgent }))
  }

  #streamTo(other: Device): SyncStream {
    this.#network.opened.push(`${this.name} ${other.name}`)
    const [a, b] = duplexPair().map(streamOf) as [SyncStream, SyncStream]
    void other.sync.serve(this.id, b)
    return a
  }
}

function streamOf(stream: object): SyncStream {
  const resets = {
    accept: () => undefined,
    reset: (_code: string, reason: string) => (stream as SyncStream).destroy(new CulvertError('stream-reset', reason)),
  }
  const made = Object.assign(stream as SyncStream, resets)
  made.on('error', () => undefined)
  return made
}

test('when a session has come up one of the two opens an exchange, and both have everything', async t => {
  const network = new Network(2)
  const [a, b] = [network.device(0), network.device(1)]
  a.heard.add('x')
  b.heard.add('y')
  network.link(a, b)
  await network.pass(3_000)
  t.deepEqual([...a.heard].toSorted(), ['x', 'y'])
  t.deepEqual([...b.heard].toSorted(), ['x', 'y'])
  t.is(network.opened.filter(one => one === (a.id < b.id ? '0 1' : '1 0')).length >= 1, true)
  const before = network.opened.length
  network.link(a, b)
  await network.pass(3_000)
  t.is(network.opened.length, before, 'those that have just told each other do not again')
  network.close()
})

test('news go to live sessions at once, from one to the next, and come back to nobody', async t => {
  const network = new Network(4)
  const [a, b, c, d] = [0, 1, 2, 3].map(n => network.device(n)) as [Device, Device, Device, Device]
  for (const device of network.devices) device.reaches = () => false
  network.sessions.add('0 1').add('1 0').add('1 2').add('2 1')
  a.hear('removal', undefined, true)
  for (let turns = 0; turns < 30; turns++) await turn()
  t.true(b.heard.has('removal'))
  t.true(c.heard.has('removal'))
  t.false(d.heard.has('removal'))
  t.deepEqual(network.opened, ['0 1', '1 2'])
  network.close()
})

test('news that are not urgent wait for each other', async t => {
  const network = new Network(2)
  const [a, b] = [network.device(0), network.device(1)]
  for (const device of network.devices) device.reaches = () => false
  network.sessions.add('0 1').add('1 0')
  for (let n = 0; n < 50; n++) a.hear(`${n}`, undefined)
  await network.pass(2_000)
  t.is(b.heard.size, 50)
  t.is(network.opened.length, 2)
  network.close()
})

test('of thirty devices without sessions most hear within seconds, and those that missed it when they ask', async t => {
  const network = new Network(30)
  network.device(0).hear('removal', undefined, true)
  await network.pass(20_000)
  const heard = network.devices.filter(device => device.heard.has('removal')).length
  t.log(`${heard} of 30, by ${network.opened.length} exchanges`)
  t.true(heard > 15, `${heard}`)
  t.true(network.opened.length <= 30 * 3)
  for (const device of network.devices) device.sync.start()
  await network.pass(15_000)
  t.true(network.devices.every(device => device.heard.has('removal')))
  t.true(network.device(0).rested.length >= 2, 'a session that was made for this is given back')
  network.close()
})

test('a device that is alone asks again after a minute, and after some hours when it has heard', async t => {
  const network = new Network(2)
  const [a, b] = [network.device(0), network.device(1)]
  b.heard.add('x')
  a.reaches = () => false
  a.sync.start()
  a.sync.start()
  await network.pass(40_000)
  t.deepEqual(network.opened, [])
  a.reaches = () => true
  await network.pass(60_000)
  t.deepEqual(network.opened, ['0 1'])
  t.true(a.heard.has('x'))
  await network.pass(120_000)
  t.deepEqual(network.opened, ['0 1', '1 0'].slice(0, network.opened.length))
  network.close()
})

test('a stranger makes us ask one member, and strangers that bring nothing ever more seldom', async t => {
  const network = new Network(3)
  const device = network.device(0)
  let asked = 0
  for (let second = 0; second < 600; second++) {
    device.sync.doubt()
    await network.pass(1_000)
    asked = network.opened.filter(one => one.startsWith('0 ')).length
  }
  t.true(asked >= 4 && asked <= 6, `${asked}`)
  network.close()
})

test('what a peer hears last is waited for, and not for long', async t => {
  const network = new Network(2)
  const [a, b] = [network.device(0), network.device(1)]
  network.sessions.add('0 1').add('1 0')
  let done = false
  void a.sync.tellLast(b.id, 1, [itemOf('you are out')]).then(() => {
    done = true
  })
  for (let turns = 0; turns < 30; turns++) await turn()
  t.true(done)
  t.true(b.heard.has('you are out'))
  await a.sync.tellLast(keyOf(99).id, 1, [itemOf('nobody')])
  network.close()
})

test('a peer that is no member is turned away, and one that opens too much waits', async t => {
  const network = new Network(1)
  const [near, far] = duplexPair().map(streamOf) as [SyncStream, SyncStream]
  await network.device(0).sync.serve(keyOf(99).id, near)
  t.true(near.destroyed)
  far.destroy()
  const quota = new StreamQuota(network.clock, 5, 2)
  const first = quota.take(keyOf(2).id)
  t.truthy(quota.take(keyOf(2).id))
  t.is(quota.take(keyOf(2).id), undefined)
  t.truthy(quota.take(keyOf(3).id))
  for (let n = 0; n < 3; n++) {
    first?.()
    quota.take(keyOf(2).id)?.()
  }
  t.is(quota.take(keyOf(2).id), undefined)
  network.clock.advance(60_000)
  t.truthy(quota.take(keyOf(2).id))
  network.close()
})
