import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { isDirect, isRelayed } from './test-agent.ts'
import { RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

/**
 * Two homes between which UDP is the only direct way: one has random outside ports, so that no TCP connection can be
 * aimed at it. Slow lines, so that what happens in the middle of a transfer happens in the middle.
 */
async function startHomes(graceMs: number) {
  const line = { rateMbit: 50 }
  const world = await World.start({
    lab: { sites: { alice: { kind: 'eim-adf', ...line }, bob: { kind: 'edm', ...line } } },
    agents: {},
  })
  await world.startEchoes(['alice', 'bob'], { relay: { graceMs } })
  return { world, alice: world.agent('alice'), bob: world.agent('bob') }
}

rootTest(
  'a transfer that starts on the relay moves to a direct path, and on to the relay and back when UDP fails',
  async t => {
    const { world, alice } = await startHomes(0)
    await using _world = world
    const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket)
    await transfer.more(MIB / 16)
    await alice.waitForPeer('bob', 'direct', isDirect)
    await transfer.more(MIB)
    const { relayBytesIn, relayBytesOut } = await alice.peer('bob')
    t.true(relayBytesOut > 0, 'the first bytes went over the relay')

    for (let round = 1; round <= 2; round++) {
      const cutAt = performance.now()
      await world.lab.site('alice').blockUdp()
      await transfer.more(2 * MIB)
      const fellBackMs = Math.round(performance.now() - cutAt)
      t.is((await alice.peer('bob')).path?.kind, 'relay')
      t.true(fellBackMs < 8_000 * SLACK, `bytes flowed over the relay after ${fellBackMs} ms`)

      const openAt = performance.now()
      await world.lab.site('alice').unblockUdp()
      await alice.waitForPeer('bob', 'direct again', isDirect)
      const returnedMs = Math.round(performance.now() - openAt)
      await transfer.more(MIB)
      t.log(
        `round ${round}: on the relay, 2 MiB further, ${fellBackMs} ms after the cut; direct again after ${returnedMs} ms`,
      )
    }
    const { sent, received, bytes } = await transfer.finish()
    t.is(received, sent)
    t.log(`${bytes} bytes, ${relayBytesIn + relayBytesOut} of the first ones relayed, SHA-256 equal`)
  },
)

rootTest(
  'with UDP blocked at first, a session gets off the relay by itself: an idle one, and a busy one sooner',
  async t => {
    const { world, alice } = await startHomes(1_500)
    await using _world = world
    for (const busy of [true, false]) {
      await world.lab.site('alice').blockUdp()
      const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket)
      await alice.waitForPeer('bob', 'on the relay', isRelayed)
      await transfer.more(MIB)
      if (!busy) await transfer.finish()
      await alice.waitForPeer('bob', 'without a direct way', ({ why }) => why.includes('UDP'))
      await world.lab.site('alice').unblockUdp()
      const openAt = performance.now()
      await alice.waitForPeer('bob', 'direct', isDirect)
      t.log(`${busy ? 'busy' : 'idle'}: direct ${Math.round(performance.now() - openAt)} ms after UDP was let through`)
      if (busy) {
        await transfer.more(MIB)
        const { sent, received } = await transfer.finish()
        t.is(received, sent)
      }
    }
  },
)
