import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parsePeerId } from '../../common/wire/peer-id.ts'
import { runRelay } from '../../relay/main.ts'
import { loadRelayOptions } from '../../relay/options.ts'
import type { Relay } from '../../relay/relay.ts'
import { testDir } from './certificate.ts'
import { testAgent } from './test-agent.ts'

async function run(t: ExecutionContext, options: Readonly<Record<string, unknown>>) {
  const dir = testDir(t)
  const configFile = join(dir, 'relay.json')
  const written = { listen: '127.0.0.1:0', stun: false, stateDir: join(dir, 'state'), ...options }
  writeFileSync(configFile, JSON.stringify(written))
  const stop = new AbortController()
  let out = ''
  let err = ''
  const ready = Promise.withResolvers<Relay>()
  const ended = runRelay(
    {
      configFile,
      stdout: text => {
        out += text
      },
      stderr: text => {
        err += text
      },
      onReady: ready.resolve,
    },
    stop.signal,
  )
  ended.catch(ready.reject)
  const relay = await ready.promise
  t.teardown(() => stop.abort())
  return { relay, dir, configFile, written, stop, ended, out: () => out, err: () => err }
}

test('prints the line for an agent’s config, keeps its key, and stops', async t => {
  const { relay, dir, stop, ended, out, err } = await run(t, {})
  const printed: unknown = JSON.parse(out())
  t.deepEqual(printed, { url: `http://127.0.0.1:${relay.http.port}`, id: relay.id })
  t.is(parsePeerId(relay.id), relay.id)
  t.regex(err(), /^\S+Z info {2}relay ready http=127\.0\.0\.1:\d+ stun=off splice=fast\n$/)
  t.is(statSync(join(dir, 'state', 'relay.key')).mode & 0o777, 0o600)
  const { line } = await testAgent(relay.http)
  stop.abort()
  await line.next('going-away')
  await t.notThrowsAsync(ended)
})

test('the next start has the same id; a lost or damaged key is an error that names the remedy', async t => {
  const first = await run(t, {})
  first.stop.abort()
  await first.ended
  const stateDir = join(first.dir, 'state')
  const again = await run(t, { stateDir })
  t.is(again.relay.id, first.relay.id)
  const key = readFileSync(join(stateDir, 'relay.key'), 'utf8')
  writeFileSync(join(stateDir, 'relay.key'), key.slice(4))
  const damaged = await t.throwsAsync(run(t, { stateDir }))
  t.regex(damaged?.message ?? '', /is no relay key; restore it/)
  const other = await run(t, {})
  writeFileSync(join(stateDir, 'relay.key'), readFileSync(join(other.dir, 'state', 'relay.key')))
  const swapped = await t.throwsAsync(run(t, { stateDir }))
  t.regex(swapped?.message ?? '', /is the key of .*, not of/)
})

test('a state directory that cannot be used is an error that names it', async t => {
  const dir = testDir(t)
  writeFileSync(join(dir, 'file'), '')
  chmodSync(join(dir, 'file'), 0o400)
  const error = await t.throwsAsync(run(t, { stateDir: join(dir, 'file', 'state') }))
  t.regex(error?.message ?? '', /file.state/)
})

test.serial('SIGHUP takes over who is admitted, and leaves a config with faults alone', async t => {
  const { relay, configFile, written, err } = await run(t, {})
  const { line } = await testAgent(relay.http)
  const reloaded = async (text: string, said: string) => {
    writeFileSync(configFile, text)
    process.emit('SIGHUP', 'SIGHUP')
    while (!err().includes(said)) await new Promise(resolve => setImmediate(resolve))
  }
  await reloaded('{ "admit": 5 }', 'config not taken over')
  await testAgent(relay.http)
  await reloaded(JSON.stringify({ ...written, admit: [], listen: '127.0.0.1:1' }), 'needsRestart=listen')
  await t.throwsAsync(testAgent(relay.http), { message: /line closed/ })
  line.say({ type: 'ping', id: 1 })
  t.is((await line.next('pong')).id, 1)
})

test('a bad config names every fault with its place', async t => {
  const error = await t.throwsAsync(run(t, { lissten: 1, limits: { pipesPerPeer: 'x' } }))
  t.regex(error?.message ?? '', /relay\.json: lissten: "lissten" is no known key; did you mean "listen"\?/)
  t.regex(error?.message ?? '', /relay\.json: limits\.pipesPerPeer: "x" is no whole number/)
})

test('a config that is too large, or no file, is refused before it is read', async t => {
  const large = await t.throwsAsync(run(t, { url: 'x'.repeat(256 * 1024) }))
  t.regex(large?.message ?? '', /relay\.json: cannot be read \(more than 262144 bytes\)/)
  const device = await t.throwsAsync(loadRelayOptions('/dev/zero'))
  t.regex(device?.message ?? '', /cannot be read \(no regular file\)/)
})
