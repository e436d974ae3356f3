import test from 'ava'
import { decodeInvite, encodeInvite } from '../../common/wire/invite-code.ts'
import { foundIn } from './network-files.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const relayOf = async (agent: TestAgent) => (await agent.status()).relays[0]

test('a relay that admits a network takes its members alone, and who is removed is out of it and of all members', async t => {
  t.timeout(240_000)
  const relay: Record<string, unknown> = {}
  await using world = await World.start({ lab: 'here', agents: {}, relay })
  for (const name of ['attic', 'office', 'phone', 'stranger']) await world.prepare(name)
  relay.admit = [await foundIn(world, 'attic', { office: [], phone: [] }, 'all')]
  await world.relay?.stop()
  await world.startRelay()

  const start = (name: string) => world.startAgent(name, { peers: [], config: { lan: { discovery: false } } })
  const [attic, office, phone, stranger] = await Promise.all(['attic', 'office', 'phone', 'stranger'].map(start))
  if (!attic || !office || !phone || !stranger) throw new Error('four were started')
  await Promise.all([attic, office, phone].map(agent => agent.waitForRelay()))
  const isRefused = (why: RegExp) => (agent: TestAgent) =>
    agent.waitFor('a refusal', ({ relays }) => relays[0]?.state === 'refused' && why.test(relays[0].lastError ?? ''))
  await isRefused(/does not admit/)(stranger)

  // Over the relay alone, which lets it in as a guest first, and as a member afterwards.
  const code = await attic.cli('invite', '--name', 'visitor')
  t.is(code.code, 0, code.stderr)
  const joined = await stranger.cli('join', encodeInvite({ ...decodeInvite(code.stdout.trim()), endpoints: [] }))
  t.is(joined.code, 0, joined.stderr)
  await stranger.waitForRelay()
  await stranger.client.ping('attic')

  // A session between two of them.
  await office.client.ping('phone')
  const { peers } = await attic.status()
  t.deepEqual(peers.map(({ name }) => name).toSorted(), ['office', 'phone', 'visitor'])
  const knowsPhone = ({ peers }: Awaited<ReturnType<TestAgent['status']>>) => peers.some(({ name }) => name === 'phone')
  t.true(knowsPhone(await office.status()))

  const removing = performance.now()
  const removed = await attic.cli('remove', 'phone')
  t.is(removed.code, 0, removed.stderr)
  await office.waitFor('the phone gone', status => !knowsPhone(status))
  t.log(`another member had cut it ${Math.round(performance.now() - removing)} ms after the command began`)
  await phone.waitFor('the end of its line', ({ relays }) => /was removed/.test(relays[0]?.lastError ?? ''))
  t.log(`and its line was ended after ${Math.round(performance.now() - removing)} ms`)
  t.is((await relayOf(office))?.state, 'connected')
  await isRefused(/was removed from its network/)(phone)

  await phone.stop()
  await world.relay?.stop('SIGKILL')
  await world.startRelay()
  await Promise.all([attic, office].map(agent => agent.waitForRelay()))
  await isRefused(/was removed from its network/)(await start('phone'))
})
