import test from 'ava'
import { ByteStream } from '../../../../../agent/path/datachannel/byte-stream.ts'
import type { NativeChannel } from '../../../../../agent/path/datachannel/native.ts'
import { WINDOW } from '../../../../../agent/path/datachannel/receive-queue.ts'
import { formatControl, parseControl } from '../../../../../agent/path/datachannel/stream-control.ts'
import { FakeClock } from '../../../fake-clock.ts'

/** A channel that notes what is sent and keeps as much as the test says. */
function setUp(clock = new FakeClock()) {
  const texts: string[] = []
  const state = { bytes: 0, messages: 0, buffered: 0, open: true, hellos: 0, destroyed: 0 }
  const channel: NativeChannel = {
    sendText: text => {
      if (state.open) texts.push(text)
      return state.open
    },
    sendBytes: bytes => {
      if (state.open) {
        state.bytes += bytes.length
        state.messages++
      }
      return state.open
    },
    buffered: () => state.buffered,
  }
  const stream = new ByteStream({
    channel,
    clock,
    remote: undefined,
    onHello: () => {
      state.hellos++
    },
    onDestroy: () => {
      state.destroyed++
    },
  })
  const ended = new Promise<{ code: string; message: string }>(resolve =>
    stream.once('error', (error: Error & { code: string }) => resolve(error)),
  )
  const hello = () => stream.onText(formatControl({ kind: 'hello', window: WINDOW, outside: undefined }))
  return { stream, state, texts, ended, hello, clock }
}

test('says hello first, and sends nothing before the peer has', t => {
  const { stream, state, texts, hello } = setUp()
  t.is(parseControl(texts[0] ?? '') === undefined, false)
  stream.write(Buffer.alloc(1000))
  t.is(state.bytes, 0)
  hello()
  t.is(state.bytes, 1000)
  t.is(state.hellos, 1)
})

test('a peer that grants nothing more gets one window and no byte more', t => {
  const { stream, state, hello } = setUp()
  hello()
  for (let i = 0; i < 200; i++) stream.write(Buffer.alloc(65536))
  t.true(state.bytes <= WINDOW && state.bytes > WINDOW - 2 * 65536, String(state.bytes))
  const before = state.bytes
  stream.onText(`credit ${WINDOW + 300_000}`)
  t.true(state.bytes > before && state.bytes <= WINDOW + 300_000)
  t.true(stream.writableLength > 0)
})

test('small writes leave joined', t => {
  const { stream, state, hello } = setUp()
  hello()
  stream.cork()
  for (let i = 0; i < 1000; i++) stream.write(Buffer.alloc(100))
  stream.uncork()
  t.is(state.bytes, 100_000)
  t.is(state.messages, 2)
})

for (const [what, act] of [
  ['bytes before hello', (stream: ByteStream) => stream.onBytes(Buffer.alloc(1))],
  ['credit before hello', (stream: ByteStream) => stream.onText('credit 5')],
  ['another version', (stream: ByteStream) => stream.onText('hello 9 2097152 - ')],
] as const) {
  test(`${what} ends the stream as malformed`, async t => {
    const { stream, ended, state } = setUp()
    act(stream)
    t.is((await ended).code, 'wire-malformed')
    t.is(state.destroyed, 1)
  })
}

for (const [what, act] of [
  ['a second hello', (_stream: ByteStream, hello: () => void) => hello()],
  ['an end-seen without an end', (stream: ByteStream) => stream.onText('end-seen')],
  [
    'bytes beyond the window',
    (stream: ByteStream) => {
      for (let i = 0; i <= WINDOW / 65536; i++) stream.onBytes(Buffer.alloc(65536))
    },
  ],
  [
    'bytes after the end',
    (stream: ByteStream) => {
      stream.onText('end')
      stream.onBytes(Buffer.alloc(1))
    },
  ],
] as const) {
  test(`${what} ends the stream as malformed, also after hello`, async t => {
    const { stream, ended, hello } = setUp()
    hello()
    act(stream, hello)
    t.is((await ended).code, 'wire-malformed')
  })
}

test('an unknown control message changes nothing', t => {
  const { stream, hello } = setUp()
  stream.onText('later 1')
  hello()
  stream.onText('later 1')
  t.false(stream.destroyed)
})

test('bytes that do not leave for 20 s end the stream', async t => {
  const { stream, ended, hello, state, clock } = setUp()
  hello()
  state.buffered = 1_000_000
  stream.write(Buffer.alloc(10))
  clock.advance(19_000)
  state.buffered = 999_000
  clock.advance(19_000)
  t.false(stream.destroyed)
  clock.advance(5_000)
  t.is((await ended).code, 'timed-out')
})

test('a lost word of the library that there is room again is made up for', t => {
  const { stream, hello, state, clock } = setUp()
  hello()
  state.buffered = 1_000_000
  stream.write(Buffer.alloc(10))
  state.buffered = 0
  clock.advance(2_000)
  t.is(state.bytes, 10)
})

test('an end that is not confirmed in 30 s is an error', async t => {
  const { stream, ended, hello, texts, clock } = setUp()
  hello()
  stream.end('bye')
  await new Promise(resolve => setImmediate(resolve))
  t.is(texts.at(-1), 'end')
  clock.advance(30_000)
  t.is((await ended).code, 'timed-out')
})

test('finish comes with the confirmation, end with the end of the peer, and then all is freed', async t => {
  const { stream, hello, state } = setUp()
  hello()
  const closed = new Promise(resolve => stream.once('close', resolve))
  const finished = new Promise(resolve => stream.once('finish', resolve))
  stream.resume()
  stream.end('bye')
  await new Promise(resolve => setImmediate(resolve))
  stream.onText('end-seen')
  await finished
  t.false(stream.destroyed)
  stream.onText('end')
  await closed
  t.is(state.destroyed, 1)
})

test('a channel that closes under way is an error, one that closes after both ends is not', async t => {
  const first = setUp()
  first.hello()
  first.stream.onDown('gone')
  t.is((await first.ended).code, 'io')

  const second = setUp()
  second.hello()
  second.stream.resume()
  second.stream.end()
  second.stream.onText('end')
  await new Promise(resolve => setImmediate(resolve))
  const closed = new Promise(resolve => second.stream.once('close', resolve))
  second.stream.onDown('gone')
  await closed
  t.is(second.stream.errored, null)
})

test('a channel that takes nothing more ends the stream and is not used again', async t => {
  const { stream, ended, hello, state } = setUp()
  hello()
  state.open = false
  stream.write(Buffer.alloc(10))
  t.is((await ended).code, 'io')
  stream.onText('credit 99999999')
  stream.onLow()
  stream.onBytes(Buffer.alloc(1))
  t.is(state.bytes, 0)
})
