import test from 'ava'
import { openRelaySocket } from '../../agent/rendezvous/relay-socket.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { listenTcp } from '../../common/platform/tcp.ts'
import { quietPort } from '../quiet-port.ts'

const never = new AbortController().signal

async function listener() {
  return listenTcp({ address: '127.0.0.1', port: 0, onConnection: socket => socket.resume() })
}

/** No name at all, so that nobody is asked. */
const NO_NAME = 'relay..invalid'

test('a host that DNS does not know any more is reached where it was before', async t => {
  await using server = await listener()
  const known = { name: NO_NAME, address: '127.0.0.1' }
  const socket = await openRelaySocket(known, server.local.port, systemClock, never)
  t.is(socket.remoteAddress, '127.0.0.1')
  socket.destroy()
})

test('a host that was never reached and that DNS does not know is an error', async t => {
  await t.throwsAsync(openRelaySocket({ name: NO_NAME }, 1, systemClock, never), { code: 'ENOTFOUND' })
})

test('where a host was reached is remembered', async t => {
  await using server = await listener()
  const known: { readonly name: string; address?: string } = { name: '127.0.0.1' }
  const socket = await openRelaySocket(known, server.local.port, systemClock, never)
  t.is(known.address, '127.0.0.1')
  socket.destroy()
})

test('a host that refuses is not dialled again by this', async t => {
  const error = await t.throwsAsync(openRelaySocket({ name: '127.0.0.1' }, await quietPort(), systemClock, never), {
    instanceOf: CulvertError,
  })
  t.is(error?.code, 'peer-unreachable')
})

test('an aborted wait ends at once', async t => {
  const stop = new AbortController()
  const opening = openRelaySocket({ name: '127.0.0.1' }, 9, systemClock, stop.signal)
  stop.abort()
  await t.throwsAsync(opening, { instanceOf: CulvertError })
})
