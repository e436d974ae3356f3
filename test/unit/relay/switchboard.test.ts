import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { createLog } from '../../../common/platform/log.ts'
import { systemRandom } from '../../../common/platform/random.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import type { RelayMessage } from '../../../common/wire/relay-message.ts'
import { Counters } from '../../../relay/counters.ts'
import { PipeDesk } from '../../../relay/pipe-desk.ts'
import { type LineRights, Switchboard, type SwitchLine } from '../../../relay/switchboard.ts'
import { Traffic } from '../../../relay/traffic.ts'
import { FakeClock } from '../fake-clock.ts'

class Line implements SwitchLine {
  readonly peer: PeerId
  readonly instance = new Uint8Array(8)
  readonly told: RelayMessage[] = []

  constructor(peer = generateKeyPair().id) {
    this.peer = peer
  }

  tell(message: RelayMessage): void {
    this.told.push(message)
  }

  replacedBy(): void {
    this.told.length = 0
  }
}

const FREE: LineRights<Line> = { mayCall: () => true, isExpected: () => false, watchable: (_line, peers) => peers }

function relayWith(lines: readonly Line[], rights: Partial<LineRights<Line>> = {}) {
  const clock = new FakeClock()
  const log = createLog({ level: 'error', style: 'words', write: () => undefined })
  const counters = new Counters()
  const none = () => ({ bytesPerSecond: null, bytesPerDay: null })
  const traffic = new Traffic(clock, none, none)
  const limits = () => ({ pipes: 4096, pipesPerPeer: 4096, ticketLifeMs: 10_000 })
  const payingAddress = () => undefined
  const pipes = new PipeDesk({
    clock,
    random: systemRandom,
    log,
    counters,
    traffic,
    limits,
    payerOf: peer => peer,
    payingAddress,
    mode: 'stream',
  })
  const board = new Switchboard<Line>(pipes, clock, log, counters, { ...FREE, ...rights })
  for (const line of lines) board.opened(line)
  /** How the call went: `ticket`, or why it failed. */
  const call = (from: Line, to: Line) => {
    board.received(from, { type: 'call', call: 1, to: to.peer })
    const answer = from.told.at(-1)
    return answer?.type === 'call-failed' ? answer.reason : answer?.type
  }
  const watch = (line: Line, ...peers: readonly Line[]) =>
    board.received(line, { type: 'watch', peers: peers.map(({ peer }) => peer) })
  return { clock, call, watch, board, pipes }
}

test('no number of strangers keeps a friend from ringing', t => {
  const [callee, friend, ...strangers] = [new Line(), new Line(), new Line(), new Line(), new Line()]
  const { clock, call, watch } = relayWith([callee, friend, ...strangers])
  watch(callee, friend)
  watch(friend, callee)
  // Interest from one side alone makes nobody a friend.
  for (const stranger of strangers) watch(stranger, callee)
  const answers = Array.from({ length: 30 }, (_, index) => call(strangers[index % 3] ?? callee, callee))
  t.is(answers.filter(answer => answer === 'ticket').length, 8)
  t.is(answers.at(-1), 'busy')
  t.is(call(friend, callee), 'ticket')
  t.is(callee.told.filter(({ type }) => type === 'ring').length, 9)
  clock.advance(1_000)
  t.deepEqual([call(strangers[0] ?? callee, callee), call(strangers[1] ?? callee, callee)], ['ticket', 'busy'])
})

test('a friend that rings without end uses up its own allowance alone', t => {
  const [callee, loud, calm] = [new Line(), new Line(), new Line()]
  const { call, watch } = relayWith([callee, loud, calm])
  watch(callee, loud, calm)
  watch(loud, callee)
  watch(calm, callee)
  const answers = Array.from({ length: 65 }, () => call(loud, callee))
  t.deepEqual([answers[63], answers[64], call(calm, callee)], ['ticket', 'busy', 'ticket'])
})

test('a stranger’s call rings too: the callee decides', t => {
  const [callee, stranger] = [new Line(), new Line()]
  const { call } = relayWith([callee, stranger])
  t.is(call(stranger, callee), 'ticket')
  t.is(callee.told.at(-1)?.type, 'ring')
  t.is(call(stranger, new Line()), 'offline')
})

test('what rang on a line that may be dead rings again on the next one, and watchers hear that it is there', t => {
  const [callee, caller, other] = [new Line(), new Line(), new Line()]
  const { call, watch, board, pipes } = relayWith([callee, caller, other])
  watch(callee, caller)
  watch(caller, callee)
  watch(other, callee)
  call(caller, callee)
  call(caller, callee)
  const rings = callee.told.filter(({ type }) => type === 'ring')
  const [refused] = rings
  if (refused?.type === 'ring') pipes.refuse(refused.ticket, callee.peer)
  caller.told.length = other.told.length = 0

  const next = new Line(callee.peer)
  board.opened(next)
  t.deepEqual(next.told, rings.slice(1))
  t.deepEqual(caller.told, [{ type: 'presence', peer: callee.peer, online: true }])
  t.deepEqual(other.told, [], 'who is not watched back')

  board.closed(next)
  const last = new Line(callee.peer)
  board.opened(last)
  t.deepEqual(last.told, rings.slice(1), 'also when the relay had seen the line go')
})

test('a call that was taken up or is out of time rings no more', t => {
  const [callee, caller] = [new Line(), new Line()]
  const { clock, call, board } = relayWith([callee, caller])
  call(caller, callee)
  clock.advance(10_001)
  const next = new Line(callee.peer)
  board.opened(next)
  t.deepEqual(next.told, [])
})

test('a line that may not call another one is told that it is not there, and one that is expected rings as a friend', t => {
  const [host, guest, stranger] = [new Line(), new Line(), new Line()]
  const { call, watch } = relayWith([host, guest, stranger], {
    mayCall: (from, to) => from !== guest || to === host,
    isExpected: (from, to) => from === guest && to === host,
    watchable: (line, peers) => (line === guest ? peers.filter(peer => peer === host.peer) : peers),
  })
  t.is(call(guest, stranger), 'offline')
  for (let n = 0; n < 9; n++) call(stranger, host)
  t.deepEqual([call(stranger, host), call(guest, host)], ['busy', 'ticket'])
  const told = guest.told.length
  watch(guest, host, stranger)
  t.deepEqual(guest.told.slice(told), [{ type: 'presence', peer: host.peer, online: false }])
})
