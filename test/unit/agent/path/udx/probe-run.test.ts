import test from 'ava'
import {
  addCandidates,
  checkAnswered,
  checkSent,
  giveUpTarget,
  heardFrom,
  isOver,
  nextCheck,
  nextStepMs,
  type ProbeRun,
  pairToNominate,
  startProbeRun,
} from '../../../../../agent/path/udx/probe-run.ts'
import type { Candidate, DirectHow } from '../../../../../common/wire/candidate.ts'
import type { Endpoint } from '../../../../../common/wire/endpoint.ts'

const at = (port: number): Endpoint => ({ address: '192.0.2.1', port })
const udp = (port: number, how: DirectHow = 'punched'): Candidate => ({ kind: 'udp', how, endpoint: at(port) })
const answer = (rttMs = 10) => ({ rttMs, outside: at(1), cookie: new Uint8Array(8) })
const ports = ({ targets }: ProbeRun) => targets.map(({ endpoint }) => endpoint.port)

/** Sends whatever is due until `until`, and gives when and where to. */
function play(run: ProbeRun, from: number, until: number): { readonly run: ProbeRun; readonly sent: string[] } {
  const sent: string[] = []
  for (let now = from; now <= until; now++) {
    for (let due = nextCheck(run); due && due.nextAt <= now; due = nextCheck(run)) {
      sent.push(`${due.endpoint.port}@${now}`)
      run = checkSent(run, due.endpoint, now)
    }
  }
  return { run, sent }
}

test('each address is checked eight times, with growing pauses, and then the run is over', t => {
  const { run, sent } = play(startProbeRun([udp(7), { ...udp(9), kind: 'tcp' }], 100), 100, 10_000)
  t.deepEqual(
    sent,
    [100, 180, 300, 500, 900, 1_500, 2_300, 3_300].map(ms => `7@${ms}`),
  )
  t.false(isOver(run, 4_599))
  t.true(isOver(run, 4_600))
  t.is(nextStepMs(run, true, 4_000), 600)
})

test('new candidates join a run and make it last longer; known ones change nothing', t => {
  const run = startProbeRun([udp(7)], 0)
  t.is(addCandidates(run, [udp(7, 'mapped')], 50), run)
  const more = addCandidates(run, [udp(7), udp(8)], 2_000)
  t.deepEqual(ports(more), [7, 8])
  t.false(isOver(more, 6_000))
  const many = Array.from({ length: 100 }, (_, i) => udp(i + 1))
  t.is(ports(startProbeRun(many, 0)).length, 32)
})

test('an address that the peer is heard from is checked at once, also when nobody told it', t => {
  const { run } = play(startProbeRun([udp(7)], 0), 0, 10)
  t.is(nextCheck(run)?.nextAt, 80)
  t.is(nextCheck(heardFrom(run, at(7), 20))?.nextAt, 20)
  let heard = run
  for (let port = 20; port < 40; port++) heard = heardFrom(heard, at(port), 20)
  t.deepEqual(ports(heard), [7, 20, 21, 22, 23], 'a peer cannot send us to any number of addresses')
  t.is(nextCheck(heard)?.endpoint.port, 20)
})

test('the nearest pair that answers is taken, a moment after the first answer', t => {
  let run = startProbeRun([udp(7, 'punched'), udp(8, 'mapped'), udp(9, 'lan')], 0)
  t.is(pairToNominate(run, 1_000), undefined)
  run = checkAnswered(run, at(7), answer(5), 100)
  t.is(pairToNominate(run, 129), undefined)
  t.is(nextStepMs(play(run, 0, 100).run, true, 110), 20)
  t.is(pairToNominate(run, 130)?.endpoint.port, 7)
  run = checkAnswered(run, at(8), answer(50), 120)
  t.is(pairToNominate(run, 130)?.endpoint.port, 8)
  run = checkAnswered(run, at(9), answer(50), 121)
  t.is(pairToNominate(run, 121)?.endpoint.port, 9, 'nothing is better than the same network')
})

test('a pair that leads to nothing gives way to the next', t => {
  let run = startProbeRun([udp(7, 'lan'), udp(8)], 0)
  run = checkAnswered(checkAnswered(run, at(7), answer(), 10), at(8), answer(), 20)
  run = giveUpTarget(run, at(7))
  t.is(pairToNominate(run, 100)?.endpoint.port, 8)
  run = giveUpTarget(run, at(8))
  t.is(pairToNominate(run, 100), undefined)
  t.true(isOver(run, 5_000))
  t.is(checkAnswered(run, at(99), answer(), 30), run, 'an answer from nowhere')
})

test('a side that was answered and is not taken up gives up at last', t => {
  const run = checkAnswered(startProbeRun([udp(7)], 0), at(7), answer(), 100)
  t.false(isOver(run, 9_000))
  t.true(isOver(run, 9_100))
  t.is(nextStepMs(run, false, 100), 9_000)
})
