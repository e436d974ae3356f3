import test from 'ava'
import { ProbeBudget } from '../../../../agent/nat/probe-budget.ts'
import { createSealer } from '../../../../agent/path/seal.ts'
import { AttemptBudget } from '../../../../agent/session/attempt-budget.ts'
import { DirectRace } from '../../../../agent/session/direct-race.ts'
import { SearchGate } from '../../../../agent/session/search-gate.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import type { PunchSignal } from '../../../../common/wire/punch-signal.ts'
import { ALICE, BOB } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const [smaller, larger] = ALICE.id < BOB.id ? [ALICE, BOB] : [BOB, ALICE]
const log = createLog({ level: 'error', style: 'words', write: () => undefined })

/** A race between two hard NATs, in which nothing is dialled; each search begins or ends with a word to the peer. */
function scene({ begins }: { readonly begins: boolean }) {
  const clock = new FakeClock()
  const [own, peer] = begins ? [smaller, larger] : [larger, smaller]
  const said: PunchSignal[] = []
  const paths = { direct: true }
  const race = new DirectRace({
    ownId: own.id,
    peerId: peer.id,
    sealer: createSealer(own, clock),
    clock,
    random: systemRandom,
    log,
    budget: new AttemptBudget(clock),
    udp: () => undefined,
    ports: undefined,
    candidates: () => [],
    stunServers: () => [],
    isOwnAddress: () => false,
    attach: () => undefined,
    sendIce: () => undefined,
    sendPunch: (_attempt, signal) => said.push(signal),
    hardTcpNat: () => true,
    addressBetweenNats: () => undefined,
    hasTcp: () => paths.direct,
    hasDirect: () => paths.direct,
    rttMs: () => 10,
    probes: new ProbeBudget(clock),
    searchGate: new SearchGate(clock, log),
    hardUdpNat: () => true,
    searchChoice: () => 'now',
    learnSearch: () => undefined,
    place: () => 'here',
  })
  return { clock, race, paths, said: () => said.map(({ over, kind }) => `${over} ${kind}`).toSorted() }
}

/** Lets what waits for nothing but promises go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve()
}

test('what a path made needless is made up for in the same race when that path is gone', async t => {
  const { race, paths, said } = scene({ begins: true })
  const first = race.run()
  await settle()
  t.true(race.running, 'it waits for the candidates of the peer')
  t.deepEqual(said(), [])
  paths.direct = false
  const second = race.run()
  await settle()
  t.deepEqual(said(), ['tcp ask'])
  race.remote = []
  await settle()
  t.deepEqual(said(), ['tcp ask', 'udp ask'])
  race.run()
  await settle()
  t.is(said().length, 2, 'one attempt at a time')
  race.close()
  await Promise.all([first, second])
  t.false(race.running)
})

test('an offer of the peer, who sees first that a path is gone, is taken up when it is seen here', async t => {
  const { race, paths, said } = scene({ begins: false })
  const secret = new Uint8Array(32)
  race.receivePunch(7, { over: 'udp', kind: 'ask', secret })
  race.receivePunch(7, { over: 'tcp', kind: 'ask', secret: new Uint8Array(0) })
  race.onPaths()
  await settle()
  t.deepEqual(said(), [])
  paths.direct = false
  race.onPaths()
  await settle()
  t.deepEqual(said(), ['tcp decline', 'udp decline'], 'no server tells our ports')
  race.onPaths()
  await settle()
  t.is(said().length, 2, 'once')
  race.close()
})

test('an offer that the peer has given up is not taken up', async t => {
  const { clock, race, paths, said } = scene({ begins: false })
  race.receivePunch(7, { over: 'udp', kind: 'ask', secret: new Uint8Array(32) })
  clock.advance(4_000)
  paths.direct = false
  race.onPaths()
  await settle()
  t.deepEqual(said(), [])
  race.close()
})
