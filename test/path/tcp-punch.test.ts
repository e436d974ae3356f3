import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { TcpMeeting } from '../../agent/path/tcp-meeting.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'

const keys = [generateKeyPair(), generateKeyPair()] as const
const contexts = keys.map(key => ({
  clock: systemClock,
  random: systemRandom,
  signal: new AbortController().signal,
  sealer: createSealer(key, systemClock),
}))

// Our timers let a process end; between two tries nothing else keeps this one.
const alive = setInterval(() => undefined, 60_000)
test.after.always(() => clearInterval(alive))

/** Two ports of loopback that nobody listens on. Two sides cannot meet there: loopback refuses faster than either retries. */
function twoPorts(): [number, number] {
  const first = systemRandom.integer(20_000, 59_000)
  return [first, first + 1]
}

test('a side that nobody meets gives up in time, and at once when it is told to', async t => {
  const [a] = contexts
  if (!a) throw new Error('no context')
  const [portA, portB] = twoPorts()
  const stop = new AbortController()
  const meeting = new TcpMeeting({ ...a, peer: keys[1].id, role: 'client', forMs: 5_000, signal: stop.signal })
  void meeting.line({ port: portA }, { address: '127.0.0.1', port: portB }, { again: true })
  stop.abort()
  const error = await t.throwsAsync(meeting.complete(), { instanceOf: CulvertError })
  t.true(error?.code === 'aborted' || error?.code === 'peer-unreachable')
})

test('a meeting that is stopped before it begins fails at once', async t => {
  const [a] = contexts
  if (!a) throw new Error('no context')
  const meeting = new TcpMeeting({ ...a, peer: keys[1].id, role: 'client', forMs: 5_000, signal: AbortSignal.abort() })
  await t.throwsAsync(meeting.path, { instanceOf: CulvertError, code: 'aborted' })
})
