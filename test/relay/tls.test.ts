import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { dialRelay, relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { readAll, seededBytes, sendAll, sha256 } from './bytes.ts'
import { makeCertificate, testDir } from './certificate.ts'
import { hello, lineUrl, pipeBetween, type TestAgent, TestLine } from './test-agent.ts'
import { testRelay } from './test-relay.ts'

async function servedName(http: Endpoint): Promise<string> {
  const socket = connect({ port: http.port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const name = socket.getPeerX509Certificate()?.subject ?? ''
  socket.destroy()
  return name
}

/** The relay looks at its files by itself; the test looks until it has. */
async function servesSoon(http: Endpoint, name: string): Promise<void> {
  while ((await servedName(http)) !== name) await sleep(20)
}

function tlsFiles(t: ExecutionContext) {
  const dir = testDir(t)
  return { dir, cert: join(dir, 'relay.crt'), key: join(dir, 'relay.key') }
}

async function tlsAgent(http: Endpoint): Promise<TestAgent> {
  const line = new TestLine(lineUrl(http, 'wss'), { insecure: true })
  const key = generateKeyPair()
  await hello(line, http, { key })
  return { key, id: key.id, line, welcome: await line.next('welcome') }
}

test('lines and pipes work over TLS, with half-close', async t => {
  const { cert, key } = tlsFiles(t)
  makeCertificate('first', cert, key)
  const { relay } = await testRelay(t, { tls: { cert, key }, limits: { mbitPerPeer: null } })
  const [a, b] = await Promise.all([tlsAgent(relay.http), tlsAgent(relay.http)])
  const [left, right] = await pipeBetween(relay.http, a, b, { tls: true })
  left.end('question')
  t.is((await readAll(right)).toString(), 'question')
  const answer = seededBytes(4 * 1024 * 1024, 1)
  const [received] = await Promise.all([readAll(left), sendAll(right, answer, 2)])
  t.is(sha256(received), sha256(answer))
})

test('quotas cut a pipe over TLS too', async t => {
  const { cert, key } = tlsFiles(t)
  makeCertificate('first', cert, key)
  const { relay } = await testRelay(t, { tls: { cert, key }, limits: { gbPerPeerPerDay: 0.0005 } })
  const [a, b] = await Promise.all([tlsAgent(relay.http), tlsAgent(relay.http)])
  const [left, right] = await pipeBetween(relay.http, a, b, { tls: true })
  left.write(seededBytes(2_000_000, 1))
  const received = await readAll(right)
  t.true(received.length < 2_000_000)
})

test('a new certificate is served as soon as the files change, and on demand', async t => {
  const { cert, key } = tlsFiles(t)
  makeCertificate('first', cert, key)
  const { relay } = await testRelay(t, { tls: { cert, key } }, { timing: { tlsPollMs: 20 } })
  t.is(await servedName(relay.http), 'CN=first')
  makeCertificate('second', cert, key)
  await servesSoon(relay.http, 'CN=second')
  const slow = await testRelay(t, { tls: { cert, key } }, { timing: { tlsPollMs: 600_000 } })
  makeCertificate('third', cert, key)
  await slow.relay.reloadTls()
  t.is(await servedName(slow.relay.http), 'CN=third')
})

test('a relay without url is known by the names on the certificate that it serves now', async t => {
  const { cert, key } = tlsFiles(t)
  makeCertificate('relay.example.org', cert, key)
  const { relay } = await testRelay(t, { tls: { cert, key } }, { timing: { tlsPollMs: 600_000 } })
  const dial = async (relayName: string) => {
    const line = new TestLine(lineUrl(relay.http, 'wss'), { insecure: true })
    await hello(line, relay.http, { relayName })
    return line
  }
  t.is((await (await dial('relay.example.org:443')).next('welcome')).type, 'welcome')
  t.regex((await (await dial('evil.example:443')).next('refused')).reason, /does not know that it is evil\.example:443/)
  makeCertificate('new.example.org', cert, key)
  await relay.reloadTls()
  t.is((await (await dial('new.example.org:443')).next('welcome')).type, 'welcome')
  t.is((await (await dial('relay.example.org:443')).next('refused')).type, 'refused')
})

test('an agent that does not take the certificate says why, with an id in its config and without', async t => {
  const { cert, key } = tlsFiles(t)
  makeCertificate('relay.example.org', cert, key)
  const { relay } = await testRelay(t, { tls: { cert, key } })
  const url = new URL(`https://127.0.0.1:${relay.http.port}`)
  const never = new AbortController().signal
  for (const id of [undefined, relay.id]) {
    const dialled = dialRelay(relayAddress(url, id, undefined), systemClock, never)
    const refused = await t.throwsAsync(dialled, { code: id ? 'relay-impersonated' : 'relay-unreachable' })
    t.regex(refused?.message ?? '', /is from no authority that this device knows \(depth zero self signed cert\)/)
    t.is(/nor has it the key of the "id"/.test(refused?.message ?? ''), id !== undefined)
  }
})

test('bad new files are logged, and the old certificate stays until they are good', async t => {
  const { dir, cert, key } = tlsFiles(t)
  makeCertificate('first', cert, key)
  const { relay, logged } = await testRelay(t, { tls: { cert, key } }, { timing: { tlsPollMs: 600_000 } })
  makeCertificate('second', cert, join(dir, 'other.key'))
  await relay.reloadTls()
  t.is(await servedName(relay.http), 'CN=first')
  writeFileSync(cert, 'no certificate')
  await relay.reloadTls()
  t.is(await servedName(relay.http), 'CN=first')
  t.is(logged.filter(line => line.includes('the old one stays')).length, 2)
  makeCertificate('third', cert, join(dir, 'third.key'))
  copyFileSync(join(dir, 'third.key'), key)
  await relay.reloadTls()
  t.is(await servedName(relay.http), 'CN=third')
})

test('a relay does not start with a certificate that it cannot serve, and says which file', async t => {
  const { cert, key } = tlsFiles(t)
  const missing = await t.throwsAsync(testRelay(t, { tls: { cert, key } }))
  t.regex(missing?.message ?? '', /tls\.cert: .*relay\.crt cannot be read/)
  makeCertificate('first', cert, key)
  writeFileSync(key, 'no key')
  const bad = await t.throwsAsync(testRelay(t, { tls: { cert, key } }))
  t.regex(bad?.message ?? '', /cannot be served with tls\.key/)
})
