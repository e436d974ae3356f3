import { once } from 'node:events'
import test from 'ava'
import { ProbeBudget } from '../../agent/nat/probe-budget.ts'
import { UdpPort } from '../../agent/nat/udp-port.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { UdpMeeting } from '../../agent/path/udp-meeting.ts'
import { probeWindow } from '../../agent/path/udp-search.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { PROBE_SECRET_BYTES, probeKeys } from '../../common/wire/probe.ts'

/** Of this process alone, so that no other test gets a port between its closing and our looking. */
const address = `127.${1 + ((process.pid >> 8) & 0x7f)}.${process.pid & 0xff}.1`
const [ALICE, BOB, EVE] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]

// Our timers let a process end.
const alive = setInterval(() => undefined, 60_000)
test.after.always(() => clearInterval(alive))

function scene(forMs = 60_000) {
  const secret = systemRandom.bytes(PROBE_SECRET_BYTES)
  const stop = new AbortController()
  const side = (own: KeyPair, peer: KeyPair, decides: boolean, limits = { entries: 1_500, packetsPerS: 2_000 }) =>
    new UdpMeeting({
      peer: peer.id,
      decides,
      keys: probeKeys(secret, decides ? 'smaller' : 'larger'),
      forMs,
      sealer: createSealer(own, systemClock),
      budget: new ProbeBudget(systemClock, limits),
      clock: systemClock,
      random: systemRandom,
      signal: stop.signal,
    })
  return { side, stop }
}

const open = () => UdpPort.open({ family: 4, address })

async function openInto(meeting: UdpMeeting, count: number): Promise<readonly UdpPort[]> {
  const ports = await Promise.all(Array.from({ length: count }, open))
  for (const port of ports) meeting.add(port)
  return ports
}

/** True when somebody else can have the port. */
async function isFree({ local }: UdpPort): Promise<boolean> {
  try {
    await (await UdpPort.open({ family: 4, address, port: local.port })).close()
    return true
  } catch {
    return false
  }
}

test('the port that probes find among many carries the path, and the others are closed', async t => {
  const { side } = scene()
  const easy = side(ALICE, BOB, true)
  const hard = side(BOB, ALICE, false)
  const [own] = await openInto(easy, 1)
  const ports = await openInto(hard, 12)
  if (!own) throw new Error('no port')
  const target = ports[7]?.local.port ?? 0
  const budget = new ProbeBudget(systemClock, { entries: 1_500, packetsPerS: 2_000 })
  const window = { first: target - 20, count: 41 }
  const context = {
    clock: systemClock,
    random: systemRandom,
    signal: new AbortController().signal,
    budget,
    budgetEntries: 1_500,
    stunServers: [],
  }
  void probeWindow(easy, own, { address, window }, context)
  const [near, far] = await Promise.all([easy.path, hard.path])
  t.deepEqual([near.kind, near.transport, near.how], ['udp', 'udx', 'punched'])
  t.deepEqual(near.remote, far.local && { address, port: far.local.port })
  near.stream.write('over the pair that met')
  t.is(String(...(await once(far.stream, 'data'))), 'over the pair that met')
  const others = ports.filter(port => port.local.port !== far.local?.port)
  t.true((await Promise.all(others.map(isFree))).every(Boolean))
  near.stream.destroy()
  await once(far.stream, 'close')
})

test('a check that comes to the deciding side is worth one of its own', async t => {
  const { side } = scene()
  const easy = side(ALICE, BOB, true)
  const hard = side(BOB, ALICE, false)
  const [own] = await openInto(easy, 1)
  const [port] = await openInto(hard, 1)
  if (!own || !port) throw new Error('no port')
  t.is(hard.check(port, own.local), 'send')
  const [near, far] = await Promise.all([easy.path, hard.path])
  t.is(near.remote?.port, port.local.port)
  near.stream.destroy()
  far.stream.destroy()
})

for (const [words, mostBytes] of [
  ['full ones, where they pass', 1_172],
  ['small ones, where full ones vanish', 1_171],
] as const) {
  test(`two ports that met agree on the size of packets: ${words}`, async t => {
    const { side } = scene()
    const easy = side(ALICE, BOB, true)
    const hard = side(BOB, ALICE, false)
    const ports = [...(await openInto(easy, 1)), ...(await openInto(hard, 1))]
    const lengths: number[] = []
    for (const port of ports) {
      const send = port.send.bind(port)
      port.send = (bytes, to) => {
        lengths.push(bytes.length)
        if (bytes.length <= mostBytes) send(bytes, to)
      }
    }
    const [own, port] = ports
    if (!own || !port) throw new Error('no port')
    hard.check(port, own.local)
    const [near, far] = await Promise.all([easy.path, hard.path])
    t.true(lengths.includes(1_172), 'a nomination of full size was tried')
    near.stream.write('over the pair that met')
    t.is(String(...(await once(far.stream, 'data'))), 'over the pair that met')
    near.stream.destroy()
    await once(far.stream, 'close')
  })
}

test('whoever knows the port but not the secret finds nobody there', async t => {
  const { side, stop } = scene()
  const easy = side(ALICE, BOB, true)
  const [own] = await openInto(easy, 1)
  if (!own) throw new Error('no port')
  const eve = scene(400).side(EVE, ALICE, false)
  const [port] = await openInto(eve, 1)
  if (!port) throw new Error('no port')
  for (let i = 0; i < 20; i++) eve.check(port, own.local)
  await t.throwsAsync(eve.path, { instanceOf: CulvertError, code: 'timed-out' })
  t.false(easy.over.aborted)
  stop.abort()
  await t.throwsAsync(easy.path, { instanceOf: CulvertError, code: 'aborted' })
  t.true(await isFree(own))
})

test('a peer with the secret and another key gets no path', async t => {
  const { side } = scene()
  const easy = side(ALICE, BOB, true)
  const eve = side(EVE, ALICE, false)
  const [own] = await openInto(easy, 1)
  const [port] = await openInto(eve, 1)
  if (!own || !port) throw new Error('no port')
  eve.check(port, own.local)
  await t.throwsAsync(easy.path, { instanceOf: CulvertError, code: 'peer-impersonated' })
  eve.close()
})

test('a search that is ended at any moment leaves no port behind', async t => {
  for (let round = 0; round < 25; round++) {
    const { side, stop } = scene()
    const easy = side(ALICE, BOB, true)
    const hard = side(BOB, ALICE, false)
    const all = [...(await openInto(easy, 1)), ...(await openInto(hard, 3))]
    const [own, port] = all
    if (own && port) hard.check(all[2] ?? port, own.local)
    const ended = new Promise(resolve => setTimeout(resolve, systemRandom.integer(0, 12)))
    await ended
    stop.abort()
    const paths = await Promise.allSettled([easy.path, hard.path])
    for (const path of paths) if (path.status === 'fulfilled') path.value.stream.destroy()
    await Promise.all(all.map(other => other.close()))
    t.true((await Promise.all(all.map(isFree))).every(Boolean))
  }
})

test('one that is stopped before it begins is over at once, and closes what is added', async t => {
  const { side, stop } = scene()
  stop.abort()
  const meeting = side(ALICE, BOB, false)
  t.true(meeting.over.aborted)
  await t.throwsAsync(meeting.path, { instanceOf: CulvertError, code: 'aborted' })
  const port = await open()
  meeting.add(port)
  await port.close()
  t.true(await isFree(port))
})
