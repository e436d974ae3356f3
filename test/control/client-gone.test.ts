import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { runAgent } from '../../agent/agent.ts'
import { loadConfig } from '../../agent/config/load-config.ts'
import { createControlClient } from '../../agent/control/control-client.ts'
import type { PeerStatus } from '../../agent/control/status.ts'
import { loadOrCreateIdentity } from '../../agent/identity/identity.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { createLog } from '../../common/platform/log.ts'
import { startLoopbackPeer, startLoopbackRelay } from '../session/loopback-peers.ts'

/** A whole agent, and a peer of it that answers no stream, on one relay. */
async function createScene(t: ExecutionContext, beforeAnswer = () => Promise.resolve()) {
  const home = await mkdtemp(join(tmpdir(), 'culvert-gone-'))
  const stateDir = join(home, 'state')
  const configPath = join(home, 'agent.json')
  const controlSocket = join(home, 'agent.sock')
  const ready = Promise.withResolvers<void>()
  const log = createLog({
    level: 'info',
    style: 'words',
    write: line => {
      if (line.includes('agent ready')) ready.resolve()
    },
  })
  const { id } = await loadOrCreateIdentity(stateDir, { log })
  const relay = await startLoopbackRelay()
  const offered: SessionStream[] = []
  const arrived = Promise.withResolvers<SessionStream>()
  const onStream = (stream: SessionStream) => {
    offered.push(stream)
    arrived.resolve(stream)
  }
  const peer = await startLoopbackPeer({ relay: { port: relay.http.port }, trusts: [id], beforeAnswer, onStream })
  const relays = [{ url: `http://127.0.0.1:${relay.http.port}` }]
  const peers = { laptop: { id: peer.key.id } }
  const quiet = { nat: { portMapping: false }, lan: { discovery: false } }
  await writeFile(configPath, JSON.stringify({ stateDir, controlSocket, relays, peers, ...quiet }))
  const { config } = await loadConfig(configPath)
  const stop = new AbortController()
  const running = runAgent(config, { configPath, log, signal: stop.signal, reload: () => undefined })
  await Promise.race([ready.promise, running])
  const client = createControlClient(controlSocket)
  t.teardown(async () => {
    stop.abort()
    await running
    await peer[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
    await rm(home, { recursive: true })
  })
  /** Waits until the agent says this of its peer. */
  const until = async (holds: (status: PeerStatus) => boolean) => {
    for await (const { peers } of client.watchStatus()) if (peers.some(holds)) return
  }
  const streamsOfPeer = () => peer.peer(id).session?.streamCount ?? 0
  await Promise.all([
    peer.until(() => peer.rendezvous.connected),
    (async () => {
      for await (const { relays } of client.watchStatus()) if (relays[0]?.state === 'connected') return
    })(),
  ])
  return { client, offered, arrived: arrived.promise, until, streamsOfPeer }
}

test('a program that goes away while the peer is called leaves no stream on either side', async t => {
  const rung = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const { client, offered, until, streamsOfPeer } = await createScene(t, () => {
    rung.resolve()
    return answer.promise
  })
  const stop = new AbortController()
  const attempt = client.connect('laptop', 'ssh', stop.signal)
  await rung.promise
  stop.abort()
  await t.throwsAsync(attempt, { code: 'aborted' })
  // The agent has heard of it before the ping, which the same call carries.
  const pinged = client.ping('laptop')
  answer.resolve()
  await pinged
  await until(({ streams }) => streams === 0)
  t.deepEqual(offered, [])
  t.is(streamsOfPeer(), 0)
})

test('a program that goes away while the service is connected leaves no stream on either side', async t => {
  const { client, arrived, until, streamsOfPeer } = await createScene(t)
  const stop = new AbortController()
  const attempt = client.connect('laptop', 'ssh', stop.signal)
  const stream = await arrived
  t.is(streamsOfPeer(), 1)
  const closed = new Promise(resolve => stream.once('close', resolve))
  stop.abort()
  await t.throwsAsync(attempt, { code: 'aborted' })
  await closed
  t.like(stream.errored, { code: 'aborted' })
  await until(({ streams }) => streams === 0)
  t.is(streamsOfPeer(), 0)
})
