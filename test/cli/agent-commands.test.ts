import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import test from 'ava'
import { createScene } from '../control/control-scene.ts'
import { culvert, startCulvert } from './run-culvert.ts'

test.serial('status, peers and ping print one JSON document each', async t => {
  const { client, socketPath } = await createScene(t)
  const status = await client.status()
  const env = { CULVERT_SOCKET: socketPath }
  t.deepEqual(JSON.parse((await culvert(['status', '--json'], env)).out), status)
  t.deepEqual(JSON.parse((await culvert(['peers', '--json', '--socket', socketPath])).out), status.peers)
  const ping = await culvert(['ping', 'laptop', '--count', '2', '--json'], env)
  t.is(ping.code, 0)
  const path = { kind: 'tcp', transport: 'tcp', how: 'lan', local: '10.0.0.1:1', remote: '10.0.0.2:2', via: null }
  const replies = [
    { seq: 1, rttMs: 3, path },
    { seq: 2, rttMs: 3, path },
  ]
  t.deepEqual(JSON.parse(ping.out), {
    peer: 'laptop',
    count: 2,
    received: 2,
    lossPct: 0,
    rttMs: { min: 3, avg: 3, p50: 3, max: 3 },
    path,
    pathChanges: 0,
    replies,
  })
})

test.serial('status and peers print tables for people', async t => {
  const { socketPath } = await createScene(t)
  const env = { CULVERT_SOCKET: socketPath }
  t.regex((await culvert(['status'], env)).out, /^attic {2}a{52}\nculvert /)
  t.regex((await culvert(['peers'], env)).out, /^PEER .*\nlaptop {2}connected {2}tcp lan 192\.168\.1\.7:4000/)
  t.is(
    (await culvert(['ping', 'laptop', '--count', '1'], env)).out,
    'laptop: 3.0 ms over tcp lan 10.0.0.2:2\n1 of 1 answered (0 % lost), 3 / 3 / 3 ms (least, mean, most)\n',
  )
})

test.serial('ping tells when the path changes between two answers, and what was lost', async t => {
  const { socketPath } = await createScene(t)
  const { code, out, err } = await culvert(['ping', 'roamer', '--count', '3', '--socket', socketPath])
  t.is(code, 0)
  t.is(err, 'culvert: the path to roamer was lost\n')
  t.deepEqual(out.trimEnd().split('\n'), [
    'roamer: 40.0 ms over relay 192.0.2.1:443',
    'roamer: moved from relay 192.0.2.1:443 to tcp punched 198.51.100.7:9',
    'roamer: 20.0 ms over tcp punched 198.51.100.7:9',
    '2 of 3 answered (33.3 % lost), 20 / 30 / 40 ms (least, mean, most), 1 change of path',
  ])
})

test.serial('bench tells both directions and the round trips, and is short over a relay', async t => {
  const { socketPath } = await createScene(t)
  const env = { CULVERT_SOCKET: socketPath }
  const { code, out } = await culvert(['bench', 'roamer', '--seconds', '1'], env)
  t.is(code, 0)
  t.deepEqual(out.trimEnd().split('\n'), [
    'roamer over relay 192.0.2.1:443',
    'This path is somebody’s relay, so little is sent: --relay measures as long as over other paths.',
    'there       12.5 Mbit/s   1.6 MB in 1.0 s',
    'back        12.5 Mbit/s   1.6 MB in 1.0 s, and moved to tcp punched 198.51.100.7:9 meanwhile',
    'round trip  idle 3.0 ms (5.0 at most), sending 9.0 ms (20.0 at most), receiving -',
  ])
  const json = JSON.parse((await culvert(['bench', 'roamer', '--json'], env)).out)
  t.like(json, { peer: 'roamer', send: { direction: 'send', bitsPerS: 12_500_000 }, receive: { limitedByRelay: true } })
  for (const seconds of ['0', '31', 'x']) t.is((await culvert(['bench', 'roamer', '--seconds', seconds], env)).code, 2)
  t.is((await culvert(['bench', 'tv'], env)).code, 3)
})

/** What `--watch --json` prints until it was told one change, and its exit code. */
async function watched(command: string, { socketPath, driver }: Awaited<ReturnType<typeof createScene>>) {
  const child = startCulvert([command, '--watch', '--json', '--socket', socketPath])
  const seen: unknown[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    seen.push(JSON.parse(line))
    if (seen.length === 1) driver.change()
    else child.kill('SIGTERM')
  }
  if (child.exitCode === null) await once(child, 'close')
  return { seen, exitCode: child.exitCode }
}

test.serial('status --watch --json prints one line per change, and ends well on SIGTERM', async t => {
  const { seen, exitCode } = await watched('status', await createScene(t))
  t.like(seen, [{ uptimeS: 0 }, { uptimeS: 1 }])
  t.is(seen.length, 2)
  t.is(exitCode, 0)
})

test.serial('peers --watch --json prints the peers alone, one line per change', async t => {
  const scene = await createScene(t)
  const { seen, exitCode } = await watched('peers', scene)
  const { out } = await culvert(['peers', '--json'], { CULVERT_SOCKET: scene.socketPath })
  t.deepEqual(seen, [JSON.parse(out), JSON.parse(out)])
  t.is(exitCode, 0)
})

test.serial('exit codes tell why a peer cannot be had', async t => {
  const { socketPath } = await createScene(t)
  const env = { CULVERT_SOCKET: socketPath }
  const unanswered = await culvert(['ping', 'tv', '--count', '1'], env)
  t.is(unanswered.code, 3)
  t.is(unanswered.err.trimEnd().split('\n').length, 1)
  t.is(unanswered.out, '0 of 1 answered\n')
  t.is((await culvert(['connect', 'tv/ssh'], env)).code, 3)
  t.is((await culvert(['connect', 'laptop/secret'], env)).code, 4)
  t.is((await culvert(['connect', 'laptop/bug'], env)).code, 1)
  t.is((await culvert(['connect', 'laptop'], env)).code, 2)
})

test.serial('ping --json without an answer prints the same document as with one, and the error', async t => {
  const { socketPath } = await createScene(t)
  const { code, out, err } = await culvert(['ping', 'tv', '--count', '2', '--json'], { CULVERT_SOCKET: socketPath })
  t.is(code, 3)
  const { replies, error, ...summary } = JSON.parse(out)
  t.deepEqual(summary, {
    peer: 'tv',
    count: 2,
    received: 0,
    lossPct: 100,
    rttMs: null,
    path: null,
    pathChanges: 0,
  })
  const lost = error.message
  t.deepEqual(replies, [
    { seq: 1, lost },
    { seq: 2, lost },
  ])
  t.is(error.code, 'peer-offline')
  t.is(err, `culvert: ${lost}\n`)
})

test.serial('a ping that nothing answers is given up, so that the command ends', async t => {
  const { socketPath } = await createScene(t)
  const { code, out, err } = await culvert(['ping', 'mute', '--count', '1', '--socket', socketPath])
  t.deepEqual([code, out, err], [3, '0 of 1 answered\n', 'culvert: mute: no answer in 16 s\n'])
  t.regex((await culvert(['help', 'ping'])).out, /given up after 5 s/)
})

test.serial('forward opens and closes, and says when there was nothing to close', async t => {
  const { socketPath } = await createScene(t)
  const env = { CULVERT_SOCKET: socketPath }
  const opened = await culvert(['forward', '2222', 'laptop/ssh', '--json'], env)
  t.deepEqual(JSON.parse(opened.out), { listen: 'tcp://127.0.0.1:2222', to: 'laptop/ssh' })
  t.is((await culvert(['forward', '2222', 'laptop/ssh'], env)).code, 1)
  t.is((await culvert(['forward', '2222', '--remove'], env)).code, 0)
  const nothing = await culvert(['forward', '2222', '--remove'], env)
  t.is(nothing.code, 1)
  t.regex(nothing.err, /no forward at tcp:\/\/127\.0\.0\.1:2222/)
})

test.serial('connect carries 64 MiB through a program that reads only after it has written all', async t => {
  const { socketPath } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/echo', '--socket', socketPath])
  const data = randomBytes(64 * 1024 * 1024)
  const digest = createHash('sha256').update(data).digest('hex')
  child.stdin.end(data)
  const back = createHash('sha256')
  for await (const chunk of child.stdout) back.update(chunk)
  if (child.exitCode === null) await once(child, 'close')
  t.is(child.exitCode, 0)
  t.is(back.digest('hex'), digest)
})

test.serial('connect passes the end of input on, and waits for the answer', async t => {
  const { socketPath, driver } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/hold', '--socket', socketPath])
  child.stdin.end('question')
  const far = await driver.held
  t.is((await far.setEncoding('utf8').toArray()).join(''), 'question')
  far.end('answer')
  t.is(Buffer.concat(await child.stdout.toArray()).toString(), 'answer')
  if (child.exitCode === null) await once(child, 'close')
  t.is(child.exitCode, 0)
})

test.serial('connect shows its reader the end of output while input is still open, as ssh needs it', async t => {
  const { socketPath, driver } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/hold', '--socket', socketPath])
  const far = await driver.held
  far.end('bye')
  t.is(Buffer.concat(await child.stdout.toArray()).toString(), 'bye')
  t.is(child.exitCode, null)
  child.stdin.end('and one thing more')
  t.is((await far.setEncoding('utf8').toArray()).join(''), 'and one thing more')
  await once(child, 'close')
  t.is(child.exitCode, 0)
})

test.serial('connect fails when the stream is cut, though input is still open', async t => {
  const { socketPath, driver } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/hold', '--socket', socketPath])
  const far = await driver.held
  far.write('half of it')
  await once(child.stdout, 'data')
  far.destroy()
  const [err] = await Promise.all([child.stderr.toArray(), once(child, 'close')])
  t.is(child.exitCode, 1)
  t.is(Buffer.concat(err).toString(), 'culvert: laptop cut the stream\n')
})

test.serial('connect fails when the agent stops under it', async t => {
  const { socketPath, driver, server } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/hold', '--socket', socketPath])
  const far = await driver.held
  far.write('half of it')
  await once(child.stdout, 'data')
  await server.close()
  const [err] = await Promise.all([child.stderr.toArray(), once(child, 'close')])
  t.is(child.exitCode, 1)
  t.regex(Buffer.concat(err).toString(), /agent stopped while laptop\/hold was open/)
})

test.serial('connect ends quietly when nobody reads its output any more', async t => {
  const { socketPath, driver } = await createScene(t)
  const child = startCulvert(['connect', 'laptop/hold', '--socket', socketPath])
  const far = await driver.held
  far.on('error', () => undefined)
  child.stdout.destroy()
  const closed = once(child, 'close')
  far.write(Buffer.alloc(1024 * 1024))
  t.is(Buffer.concat(await child.stderr.toArray()).toString(), '')
  await closed
  t.is(child.exitCode, 1)
})

test.serial('who removes an admin is told whom it had let in, and whether they stay', async t => {
  const { socketPath } = await createScene(t)
  const env = { CULVERT_SOCKET: socketPath }
  const kept = await culvert(['remove', 'laptop'], env)
  t.regex(kept.out, /laptop \(b+\) is removed.*\ntv, which it had let in, stay members: remove those you do not know\n/)
  const gone = await culvert(['remove', 'laptop', '--with-devices', '--json'], env)
  t.deepEqual(JSON.parse(gone.out).gone, [{ id: 'c'.repeat(52), name: 'tv' }])
  t.deepEqual(JSON.parse(gone.out).stay, [])
})
