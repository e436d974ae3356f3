import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import test from 'ava'
import { closeAllDatachannels, type DatachannelPath } from '../../agent/path/datachannel/attempt.ts'
import { WINDOW } from '../../agent/path/datachannel/receive-queue.ts'
import { CulvertError } from '../../common/errors.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'
import { quietPort } from '../quiet-port.ts'
import { mutateBytes, seededDraw } from '../unit/mutate.ts'
import { connectPair, startPair } from './datachannel-pair.ts'

const serial = test.serial
test.after.always(() => closeAllDatachannels())

const MIB = 1024 * 1024

/** Reads to the end. Not by `for await`, which destroys the stream then, and with it what it still has to send. */
async function digestOf(stream: Duplex): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  await once(stream, 'end')
  return { bytes, sha256: hash.digest('hex') }
}

/** Writes `bytes` random bytes in pieces of uneven size, ends, and tells their hash. */
async function send(stream: Duplex, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  const draw = seededDraw(bytes)
  for (let left = bytes; left > 0; ) {
    const piece = randomBytes(Math.min(left, 1 + draw(100_000)))
    hash.update(piece)
    left -= piece.length
    if (!stream.write(piece)) await once(stream, 'drain')
  }
  stream.end()
  return hash.digest('hex')
}

const down = (path: DatachannelPath) => new Promise<void>(resolve => path.onDown(resolve))

async function failure(promise: Promise<unknown>): Promise<CulvertError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    cause => cause,
  )
  if (thrown instanceof CulvertError) return thrown
  throw new Error(`expected a CulvertError, got ${String(thrown)}`)
}

serial('two ends connect on loopback and tell what they use', async t => {
  const [a, b] = await connectPair()
  t.is(a.how, 'lan')
  t.is(b.how, 'lan')
  t.deepEqual(a.remote, b.local)
  t.deepEqual(b.remote, a.local)
  a.close()
  await Promise.all([down(a), down(b)])
  await t.notThrowsAsync(down(a), 'also for a listener that comes late')
})

serial('32 MiB each way at once arrive unchanged, and both ends end', async t => {
  const [a, b] = await connectPair()
  const closed = Promise.all([down(a), down(b)])
  const [sentA, sentB, gotA, gotB] = await Promise.all([
    send(a.stream, 32 * MIB),
    send(b.stream, 32 * MIB),
    digestOf(a.stream),
    digestOf(b.stream),
  ])
  t.deepEqual(gotB, { bytes: 32 * MIB, sha256: sentA })
  t.deepEqual(gotA, { bytes: 32 * MIB, sha256: sentB })
  await closed
  t.is(a.stream.errored, null)
  t.is(b.stream.errored, null)
})

serial('after one end has ended the other still sends', async t => {
  const [a, b] = await connectPair()
  a.stream.end('question')
  t.is((await digestOf(b.stream)).bytes, 8)
  const got = digestOf(a.stream)
  const sent = await send(b.stream, 3 * MIB)
  t.deepEqual(await got, { bytes: 3 * MIB, sha256: sent })
})

serial('a reader that stalls holds one window, and then goes on where it stopped', async t => {
  const [a, b] = await connectPair()
  const before = process.memoryUsage.rss()
  let accepted = 0
  const piece = Buffer.alloc(65536, 1)
  const finished = new Promise<void>(resolve => {
    const push = () => {
      while (accepted < 64 * MIB) {
        accepted += piece.length
        if (!a.stream.write(piece)) {
          a.stream.once('drain', push)
          return
        }
      }
      a.stream.end()
      resolve()
    }
    push()
  })
  // Nothing moves any more once the window is used up: wait for three equal looks.
  for (let same = 0, last = -1; same < 3; same = accepted === last ? same + 1 : 0) {
    last = accepted
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.true(accepted <= WINDOW + MIB, `${accepted} bytes were taken from the writer`)
  t.true(process.memoryUsage.rss() - before < 48 * MIB)
  const got = await digestOf(b.stream)
  await finished
  t.is(got.bytes, 64 * MIB)
})

serial('an abort ends the attempt on both sides', async t => {
  const stop = new AbortController()
  const { offerer, answerer } = startPair({
    offerer: { signal: stop.signal },
    pass: signal => (signal.kind === 'candidate' ? undefined : signal),
  })
  stop.abort(new Error('changed my mind'))
  const error = await failure(offerer.done)
  t.is(error.code, 'aborted')
  t.regex(error.message, /changed my mind/)
  t.is((await failure(answerer.done)).code, 'peer-unreachable')
})

serial('an abort before the start makes no connection', async t => {
  const { offerer } = startPair({ offerer: { signal: AbortSignal.abort() } })
  t.is((await failure(offerer.done)).code, 'aborted')
})

serial('a peer that does not answer is given up in time', async t => {
  const { offerer } = startPair({ offerer: { timeoutMs: 200 }, pass: () => undefined })
  const error = await failure(offerer.done)
  t.is(error.code, 'timed-out')
  t.is(offerer.stage, 'signalling')
})

serial('without a pair of addresses that answers the attempt is given up in time', async t => {
  const { offerer, answerer } = startPair({
    offerer: { timeoutMs: 400 },
    pass: signal =>
      signal.kind === 'candidate' ? { ...signal, line: 'candidate:1 1 UDP 5 192.0.2.200 9 typ host' } : signal,
  })
  t.is((await failure(offerer.done)).code, 'timed-out')
  t.is(offerer.stage, 'checking')
  t.is((await failure(answerer.done)).code, 'peer-unreachable')
})

serial('after a failed attempt the next one works at once', async t => {
  const first = startPair({ pass: signal => (signal.kind === 'candidate' ? undefined : signal) })
  first.offerer.receive({ kind: 'failed', reason: 'DTLS fault' })
  t.regex((await failure(first.offerer.done)).message, /DTLS fault/)
  first.answerer.abort()
  const [a, b] = await connectPair()
  a.stream.end('hello')
  t.is((await digestOf(b.stream)).bytes, 5)
})

serial('four peers share one UDP port, and a fifth connection uses another when it is taken', async t => {
  const udpPort = await quietPort()
  const ends = []
  for (let i = 0; i < 4; i++) ends.push(await connectPair({ offerer: { udpPort, peer: `peer ${i}` } }))
  t.deepEqual(
    ends.map(([a]) => a.local.port),
    [udpPort, udpPort, udpPort, udpPort],
  )
  const again = await connectPair({ offerer: { udpPort, peer: 'peer 0' } })
  t.not(again[0].local.port, udpPort)
  for (const [a] of [...ends, again]) a.close()
  await Promise.all([...ends, again].map(([, b]) => down(b)))
  const last = await connectPair({ offerer: { udpPort, peer: 'peer 0' } })
  t.is(last[0].local.port, udpPort)
  last[0].close()
})

serial('a UDP port that another program has is not needed', async t => {
  const { openUdpSocket } = await import('../../common/platform/udp-socket.ts')
  await using busy = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const mappedEndpoint = { address: '198.51.100.1', port: 4000 }
  const lines: string[] = []
  const [a] = await connectPair({
    offerer: { udpPort: busy.local.port, mappedEndpoint },
    pass: signal => {
      if (signal.kind === 'candidate') lines.push(signal.line)
      return signal
    },
  })
  t.not(a.local.port, busy.local.port)
  t.false(
    lines.some(line => line.includes('198.51.100.1')),
    'a mapping of a port that is not ours was announced',
  )
  a.close()
})

serial('what is said to the peer has no address but the candidates, each in our own form', async t => {
  const said: IceSignal[] = []
  const [a] = await connectPair({
    pass: signal => {
      said.push(signal)
      return signal
    },
  })
  for (const signal of said) {
    if (signal.kind === 'candidate') t.regex(signal.line, /^a=candidate:host4 1 UDP \d+ 127\.0\.0\.1 \d+ typ host$/)
    else if (signal.kind !== 'failed') t.notRegex(signal.sdp, /127\.0\.0\.1|raddr|candidate/)
  }
  a.close()
})

serial('2,000 garbled signals end attempts, never the process', async t => {
  const draw = seededDraw(21)
  const garble = (text: string) => mutateBytes(Buffer.from(text), draw, 5000).toString('latin1')
  const outcomes = new Map<string, number>()
  let garbled = 0
  while (garbled < 2_000) {
    const { offerer, answerer } = startPair({
      offerer: { timeoutMs: 50 },
      answerer: { timeoutMs: 50 },
      pass: signal => {
        garbled++
        if (signal.kind === 'candidate') return { ...signal, line: garble(signal.line), mid: garble(signal.mid) }
        if (signal.kind === 'failed') return { ...signal, reason: garble(signal.reason) }
        return { ...signal, sdp: garble(signal.sdp) }
      },
    })
    for (let i = 0; i < 20; i++) {
      garbled++
      const line = garble('a=candidate:1 1 UDP 2114977791 127.0.0.1 59398 typ host')
      offerer.receive({ kind: 'candidate', line, mid: '0' })
      answerer.receive({ kind: 'candidate', line, mid: '0' })
    }
    for (const attempt of [offerer, answerer]) {
      const outcome = await attempt.done.then(
        path => {
          path.close()
          return 'connected'
        },
        (error: CulvertError) => error.code,
      )
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  t.log(Object.fromEntries(outcomes))
  for (const outcome of outcomes.keys()) {
    t.true(['connected', 'timed-out', 'peer-unreachable', 'wire-malformed'].includes(outcome), outcome)
  }
})

serial('a listener that throws ends its own path only', async t => {
  const [a, b] = await connectPair()
  b.stream.on('data', () => {
    throw new Error('a fault of the reader')
  })
  const closed = Promise.all([down(a), down(b)])
  a.stream.write('x')
  await closed
  const [c, d] = await connectPair()
  c.stream.end('still here')
  t.is((await digestOf(d.stream)).bytes, 10)
})

serial('paths that are torn down under load leave nothing behind', async t => {
  for (let i = 0; i < 15; i++) {
    const [a, b] = await connectPair()
    b.stream.resume()
    const closed = Promise.all([down(a), down(b)])
    const filling = pipeline(endless, a.stream).catch(() => undefined)
    await once(b.stream, 'data')
    if (i % 2 === 0) a.stream.destroy()
    else b.stream.destroy()
    await closed
    await filling
  }
  t.pass()
})

async function* endless(): AsyncGenerator<Buffer> {
  for (;;) yield Buffer.alloc(65536)
}

for (const [what, script] of [
  ['with open paths under load', 'open'],
  ['with an attempt under way', 'attempt'],
  ['with sixty forgotten attempts', 'garbage'],
] as const) {
  serial(`a process ${what} exits with 0 when it is told to`, async t => {
    const child = spawn(process.execPath, [new URL('datachannel-exit.ts', import.meta.url).pathname, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', chunk => {
      errors += String(chunk)
    })
    const [took] = await once(child.stdout, 'data')
    const [code, signal] = await once(child, 'exit')
    t.is(signal, null, errors)
    t.is(code, 0, errors)
    t.log(`closing took ${took} ms`)
  })
}
