import test from 'ava'
import { ProbeBudget } from '../../agent/nat/probe-budget.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { AttemptBudget } from '../../agent/session/attempt-budget.ts'
import { SearchGate } from '../../agent/session/search-gate.ts'
import { UdpSearching } from '../../agent/session/udp-searching.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { PROBE_SECRET_BYTES } from '../../common/wire/probe.ts'
import type { PunchSignal } from '../../common/wire/punch-signal.ts'
import { startStunResponder } from '../nat/stun-responder.ts'

const log = createLog({ level: 'error', style: 'words', write: () => undefined })
const [OWN, PEER, OTHER] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]
const OUTSIDE = '10.255.255.1'

// Our timers let a process end.
const alive = setInterval(() => undefined, 60_000)
test.after.always(() => clearInterval(alive))

/** The side that is asked, behind a NAT that draws its ports. */
function scene(stunServers: readonly Endpoint[]) {
  const paths = { direct: false }
  const said: PunchSignal[] = []
  const probes = new ProbeBudget(systemClock)
  const gate = new SearchGate(systemClock, log)
  const stop = new AbortController()
  const searching = new UdpSearching({
    peerId: PEER.id,
    offers: false,
    sealer: createSealer(OWN, systemClock),
    clock: systemClock,
    random: systemRandom,
    budget: new AttemptBudget(systemClock),
    probes,
    gate,
    signal: stop.signal,
    stunServers: () => stunServers,
    isOwnAddress: () => false,
    hardNat: () => true,
    hasDirect: () => paths.direct,
    place: () => 'here',
    attach: path => path.stream.destroy(),
    send: (_attempt, signal) => said.push(signal),
    onOutcome: () => undefined,
    learn: () => undefined,
  })
  const offer = () => {
    const secret = systemRandom.bytes(PROBE_SECRET_BYTES)
    searching.receive(7, { kind: 'offer', outside: { address: OUTSIDE, port: 4_000 }, secret })
  }
  return { searching, gate, probes, paths, said, stop, offer }
}

for (const end of ['another path', 'the end of the session'] as const) {
  test(`${end} while a search still looks at its ports ends it: its place is free, and no probe leaves`, async t => {
    const asked = new Map<number, number>()
    const looked = Promise.withResolvers<void>()
    // One question stays without an answer, so that the others have theirs before it is asked again.
    await using responder = await startStunResponder(['127.0.0.1'], (answer, _at, from) => {
      const times = (asked.get(from.port) ?? 0) + 1
      asked.set(from.port, times)
      if (from.port !== asked.keys().next().value)
        return { ...answer, xorMappedAddress: { address: OUTSIDE, port: systemRandom.integer(1_024, 65_536) } }
      if (times > 1) looked.resolve()
      return undefined
    })
    const { searching, gate, probes, paths, said, stop, offer } = scene(responder.endpoints)
    offer()
    await looked.promise
    t.true(gate.taken)
    paths.direct = true
    if (end === 'another path') searching.onPaths()
    else stop.abort()
    t.truthy(await gate.turn(OTHER.id, new AbortController().signal))
    t.true(probes.report.packets <= 8, 'nothing but the questions')
    t.deepEqual(said, [])
  })
}

test('a peer that asks while we search for another one is told so at once, and holds nothing', async t => {
  const { gate, said, offer } = scene([])
  const other = gate.enter(OTHER.id)
  offer()
  while (said.length === 0) await Promise.resolve()
  t.deepEqual(said, [{ over: 'udp', kind: 'decline', why: 'busy' }])
  other?.[Symbol.dispose]()
  t.false(gate.taken)
})
