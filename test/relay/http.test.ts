import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { CulvertError } from '../../common/errors.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { quietPort } from '../quiet-port.ts'
import { testAgent } from './test-agent.ts'
import { testRelay } from './test-relay.ts'

const dial = async (http: Endpoint): Promise<Socket> => {
  const socket = connect({ port: http.port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

async function ask(http: Endpoint, request: string): Promise<string> {
  const socket = await dial(http)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.write(request)
  await once(socket, 'close')
  return text
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
const upgrade = (to: string) => `Connection: Upgrade\r\nUpgrade: ${to}\r\n`

const answers = [
  ['the root', get('/'), '404'],
  ['a path that climbs', get('/v1/../etc/passwd'), '404'],
  ['the agents’ path without an upgrade', get('/v1/agent'), '426'],
  ['the agents’ path with another upgrade', get('/v1/agent', upgrade('h2c')), '404'],
  ['an upgrade elsewhere', get('/x', upgrade('websocket')), '404'],
  ['a pipe without an upgrade', get(`/v1/pipe/${'a'.repeat(22)}`), '404'],
  ['a pipe with another upgrade', get(`/v1/pipe/${'a'.repeat(22)}`, upgrade('websocket')), '404'],
  ['a ticket of the wrong length', get('/v1/pipe/abc', upgrade('culvert-pipe')), '404'],
  ['a ticket nobody gave', get(`/v1/pipe/${'a'.repeat(22)}`, upgrade('culvert-pipe')), '404'],
  ['a WebSocket of no version', get('/v1/agent', upgrade('websocket')), '400'],
  ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', '400'],
  ['a header too large', get('/', `X: ${'a'.repeat(20_000)}\r\n`), '400'],
  ['a health check', get('/healthz'), '200'],
] as const

for (const [what, request, status] of answers) {
  test(`${what} is answered ${status}, briefly, and closed`, async t => {
    const { relay } = await testRelay(t)
    const answer = await ask(relay.http, request)
    t.is(answer.slice(9, 12), status)
    t.true(answer.length < 300)
  })
}

test('CONNECT is closed without an answer', async t => {
  const { relay } = await testRelay(t)
  t.is(await ask(relay.http, 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n'), '')
})

test('a request that never ends is given up, and so is a connection that says nothing', async t => {
  const { relay } = await testRelay(t, {}, { timing: { headersMs: 200 } })
  const slow = await dial(relay.http)
  slow.write('GET / HTTP/1.1\r\nHost:')
  const silent = await dial(relay.http)
  await Promise.all(
    [slow, silent].map(socket => {
      socket.resume()
      return once(socket, 'close')
    }),
  )
  while (relay.status().connections > 0) await nextTurn()
  t.pass()
})

test('admin serves health and metrics, and the main port no metrics', async t => {
  const { relay } = await testRelay(t, { admin: '127.0.0.1:0' })
  await testAgent(relay.http)
  const admin = relay.admin ?? { address: '', port: 0 }
  const metrics = await fetch(`http://127.0.0.1:${admin.port}/metrics`)
  const text = await metrics.text()
  t.true(text.includes('\nculvert_relay_lines 1\n'))
  t.true(text.includes('\nculvert_relay_handshakes_total 1\n'))
  t.is((await fetch(`http://127.0.0.1:${admin.port}/healthz`)).status, 200)
  t.is((await fetch(`http://127.0.0.1:${admin.port}/`)).status, 404)
  t.is((await fetch(`http://127.0.0.1:${relay.http.port}/metrics`)).status, 404)
})

test('a port in use is waited for, then taken', async t => {
  const port = await quietPort()
  const first = await testRelay(t, { listen: `127.0.0.1:${port}` })
  const second = testRelay(t, { listen: `127.0.0.1:${port}` })
  await first.relay.stop()
  t.is((await second).relay.http.port, port)
})

test('a port that stays in use is named with the remedy', async t => {
  const { relay } = await testRelay(t)
  const again = testRelay(t, { listen: `127.0.0.1:${relay.http.port}` }, { timing: { bindRetryMs: 150 } })
  const error = await t.throwsAsync(again, { instanceOf: CulvertError })
  t.is(error?.code, 'port-in-use')
  t.regex(error?.message ?? '', new RegExp(`127.0.0.1:${relay.http.port}.*choose another port in listen`))
})
