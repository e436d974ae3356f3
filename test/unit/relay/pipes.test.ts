import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { systemRandom } from '../../../common/platform/random.ts'
import { type OpenResult, PipeTable, ticketText } from '../../../relay/pipes.ts'

const [a, b, c] = [generateKeyPair().id, generateKeyPair().id, generateKeyPair().id]
const limits = { pipes: 4, pipesPerPeer: 2, ticketLifeMs: 10_000 }
const table = () => new PipeTable<string>(systemRandom, () => limits)

function opened(result: OpenResult<string>) {
  if ('failure' in result) throw new Error(result.failure)
  return { ...result, caller: ticketText(result.callerTicket), callee: ticketText(result.calleeTicket) }
}

test('two attaches join a pipe, whoever comes first', t => {
  const pipes = table()
  const { caller, callee } = opened(pipes.open(a, b, 1, 0))
  t.is(pipes.attach(callee, 'right', 1).name, 'waiting')
  const joined = pipes.attach(caller, 'left', 2)
  t.like(joined, { name: 'joined', caller: 'left', callee: 'right' })
  t.is(pipes.size, 1)
  t.is(pipes.waiting, 0)
})

test('a ticket works once, and not at all when it is too old', t => {
  const pipes = table()
  const { caller, callee } = opened(pipes.open(a, b, 1, 0))
  pipes.attach(caller, 'left', 1)
  t.is(pipes.attach(caller, 'again', 2).name, 'unknown')
  t.is(pipes.attach(callee, 'right', 10_000).name, 'unknown')
  t.is(pipes.attach('nonsense', 'x', 1).name, 'unknown')
})

test('pipes out of time are found in order, and closing gives back what was attached', t => {
  const pipes = table()
  const first = opened(pipes.open(a, b, 1, 0))
  opened(pipes.open(b, c, 2, 5))
  pipes.attach(first.caller, 'left', 1)
  t.is(pipes.nextExpiry(), 10_000)
  t.deepEqual(pipes.expired(9_999), [])
  t.deepEqual(pipes.expired(10_000), [first.pipe])
  t.deepEqual(pipes.close(first.pipe), ['left'])
  t.deepEqual(pipes.close(first.pipe), [])
  t.is(pipes.nextExpiry(), 10_005)
  t.is(pipes.size, 1)
})

test('a caller has only so many pipes, and gets room again when one closes', t => {
  const pipes = table()
  const first = opened(pipes.open(a, b, 1, 0))
  pipes.open(a, b, 2, 0)
  t.like(pipes.open(a, b, 3, 0), { failure: 'over-quota' })
  pipes.close(first.pipe)
  t.true('pipe' in pipes.open(a, b, 4, 0))
})

test('calls that a callee never took do not use up its share; joined pipes do', t => {
  const pipes = table()
  const one = opened(pipes.open(a, b, 1, 0))
  const two = opened(pipes.open(a, b, 2, 0))
  const three = opened(pipes.open(c, b, 3, 0))
  for (const { caller, callee } of [one, two]) {
    pipes.attach(caller, 'l', 0)
    pipes.attach(callee, 'r', 0)
  }
  t.like(pipes.open(c, b, 4, 0), { failure: 'busy' })
  t.is(pipes.attach(three.caller, 'l', 0).name, 'waiting')
})

test('all pipes together have a limit', t => {
  const pipes = table()
  const ids = Array.from({ length: 5 }, () => generateKeyPair().id)
  const results = ids.map((id, call) => pipes.open(id, b, call, 0))
  t.deepEqual(
    results.map(result => ('failure' in result ? result.failure : 'open')),
    ['open', 'open', 'open', 'open', 'busy'],
  )
})

test('only the callee can refuse, only with its own ticket, and only while it waits', t => {
  const pipes = table()
  const { pipe, callerTicket, calleeTicket, caller, callee } = opened(pipes.open(a, b, 1, 0))
  t.is(pipes.refuse(calleeTicket, c), undefined)
  t.is(pipes.refuse(callerTicket, a), undefined)
  t.is(pipes.refuse(calleeTicket, b), pipe)
  pipes.attach(caller, 'l', 0)
  pipes.attach(callee, 'r', 0)
  t.is(pipes.refuse(calleeTicket, b), undefined)
})
