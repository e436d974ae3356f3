import type { BenchReply } from '../../agent/control/control-target.ts'
import { rootTest } from '../lab/root-test.ts'
import { culvertCommand } from './built-bundle.ts'
import { World } from './world.ts'

interface BenchDocument {
  readonly send: BenchReply
  readonly receive: BenchReply
}

rootTest('bench finds the rate of a line in both directions, over TCP and shortly over a relay', async t => {
  const line = { rateMbit: { up: 20, down: 40 }, delayMs: 5 }
  await using world = await World.start({
    lab: { sites: { alice: { kind: 'eim-apdf', ...line }, bob: 'eim-apdf', hard: 'edm', hardtoo: 'edm' } },
    agents: { alice: {}, bob: {}, hard: {}, hardtoo: {} },
  })
  await Promise.all(['alice', 'bob', 'hard', 'hardtoo'].map(name => world.agent(name).waitForRelay()))

  // On a busy machine the direct path may be later than the first request.
  await world.agent('alice').client.ping('bob')
  await world.agent('alice').waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
  const direct = await world.agent('alice').cli('bench', 'bob', '--seconds', '2', '--json')
  t.is(direct.code, 0, direct.stderr)
  const { send, receive } = JSON.parse(direct.stdout) as BenchDocument
  t.is(send.path.kind, 'tcp')
  t.false(send.limitedByRelay)
  for (const [reply, mbit] of [
    [send, 20],
    [receive, 40],
  ] as const) {
    t.true(reply.bitsPerS > 0.7 * mbit * 1e6, `${reply.direction} ${reply.bitsPerS} of ${mbit} Mbit/s`)
    t.true(reply.bitsPerS < 1.1 * mbit * 1e6, `${reply.direction} ${reply.bitsPerS} of ${mbit} Mbit/s`)
    t.true((reply.rttMs.idle?.min ?? 0) >= 10)
    t.true((reply.rttMs.load?.p50 ?? 0) >= 10)
  }

  const relayed = await world.agent('hard').cli('bench', 'hardtoo', '--seconds', '5')
  t.is(relayed.code, 0, relayed.stderr)
  t.regex(relayed.stdout, /^hardtoo over relay 44\.128\.255\.10:443\nThis path is somebody’s relay, so little is sent/)
  t.regex(relayed.stdout, /^there +[\d.]+ [GM]bit\/s {3}[\d.]+ MB in [\d.]+ m?s$/m)
  const { relayBytesOut } = await world.agent('hard').peer('hardtoo')
  t.true(relayBytesOut <= 9 * 2 ** 20, `${relayBytesOut} bytes over the relay`)
  t.log(`${direct.stdout}${relayed.stdout}`)
})

rootTest('ping goes on over a break, and tells that the path moved', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'eim-adf', bob: 'edm' } },
    agents: { alice: {}, bob: {} },
  })
  const alice = world.agent('alice')
  await Promise.all([alice.waitForRelay(), world.agent('bob').waitForRelay()])
  await alice.client.ping('bob')
  await alice.waitForPeer('bob', 'direct', ({ path }) => path?.kind === 'udp')
  const pinging = alice.host.spawn(...culvertCommand('ping', 'bob', '--count', '600'), {
    env: { CULVERT_SOCKET: alice.socketPath },
  })
  await pinging.waitForOutput(/^bob: [\d.]+ ms over udp/m)
  await world.lab.site('alice').blockUdp()
  await pinging.waitForOutput(/^bob: moved from udp\S* punched \S+ to relay \S+$/m)
  await world.lab.site('alice').unblockUdp()
  await pinging.waitForOutput(/^bob: moved from relay \S+ to udp\S* punched \S+$/m)
  pinging.child.kill('SIGINT')
  const { code, stdout } = await pinging.exited
  t.is(code, 0)
  t.regex(stdout, /^\d+ of \d+ answered \([\d.]+ % lost\), .* \(least, mean, most\), 2 changes of path$/m)
  t.log(stdout)
})
