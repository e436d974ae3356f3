import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { foundIn, inNetworkOf } from './network-files.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const ALONE = { peers: [] }

test.serial(
  'members reach each other by name and role, learn of new ones by themselves, and who is removed is out',
  async t => {
    await using world = await World.start({ lab: 'here', agents: {}, relay: { limits: { mbitPerPeer: 10_000 } } })
    const target = await world.serve('echo', echoService)
    const names = ['attic', 'office', 'phone', 'cellar', 'guest'] as const
    for (const name of names) await world.prepare(name)
    // The office was let in first and has heard of nobody since.
    await foundIn(world, 'attic', { office: ['family'], phone: [], cellar: ['admin'], guest: ['family'] })
    const services = { echo: { target, allow: ['role:family'] } }
    const [attic, office, phone, cellar, guest] = await Promise.all(
      names.map(name => world.startAgent(name, { ...ALONE, config: { services } })),
    )
    if (!attic || !office || !phone || !cellar || !guest) return t.fail('not all agents run')
    await Promise.all([attic, office, phone, cellar, guest].map(agent => agent.waitForRelay()))

    t.like((await attic.status()).network, { standing: 'member', members: 5, admin: true, root: true, problem: null })
    t.like((await phone.status()).network, { standing: 'member', admin: false, root: false })
    const { socket } = await office.client.connect('attic', 'echo')
    const { sent, received } = await transferBothWays(socket, 1 << 20)
    t.is(received, sent)
    socket.destroy()
    const refused = await phone.cli('connect', 'attic/echo')
    t.is(refused.code, 4)
    t.regex(refused.stderr, /the service echo is not for this peer/)

    // A session with the attic is enough for the office to hear of all.
    const heard = await office.waitFor('all members', ({ network }) => network?.members === 5)
    t.deepEqual(heard.peers.find(({ name }) => name === 'cellar')?.member, { roles: [], admin: true, expiresAt: null })
    t.is((await guest.cli('connect', 'office/echo')).code, 0)
    const known = await office.cli('peers', '--json')
    t.deepEqual(
      JSON.parse(known.stdout)
        .map(({ name }: { readonly name: string }) => name)
        .toSorted(),
      ['attic', 'cellar', 'guest', 'phone'],
    )

    for (const [who, whom] of [
      [phone, 'attic'],
      [cellar, 'attic'],
      [office, 'phone'],
    ] as const) {
      const denied = await who.cli('remove', whom)
      t.is(denied.code, 4, denied.stderr)
    }
    t.is((await attic.cli('remove', 'nobody')).code, 3)

    await phone.waitFor('all members', ({ network }) => network?.members === 5)
    // Sessions of the phone with both; the guest has none with anybody but the office.
    for (const peer of ['attic', 'office', 'cellar']) t.is((await phone.cli('ping', peer, '--count', '1')).code, 0)
    const old = join(world.directory, 'old-roster')
    await cp(join(world.directory, 'phone', 'state', 'network'), old, { recursive: true })
    const gone = (agent: typeof attic) =>
      agent.waitFor('the phone gone', ({ peers }) => !peers.some(({ id }) => id === world.idOf('phone')))
    const all = [attic, office, cellar, guest]
    const startedAt = performance.now()
    const after = async (what: Promise<unknown>) => {
      await what
      return Math.round(performance.now() - startedAt)
    }
    const told = after(phone.waitFor('its own removal', ({ network }) => network?.standing === 'removed'))
    const cut = all.map(agent => after(gone(agent)))
    t.is((await attic.cli('remove', 'phone')).code, 0)
    t.log(`told ${await told} ms, cut at attic, office, cellar, guest after ${(await Promise.all(cut)).join(', ')} ms`)
    t.regex((await phone.status()).network?.problem ?? '', /this device was removed from its network/)
    t.is(phone.logged('this device was removed from its network').length, 1)
    t.deepEqual((await phone.status()).peers, [])

    // With the roster that it had: its key is the same, and what it tells is old.
    await phone.stop()
    await rm(join(world.directory, 'phone', 'state', 'network'), { recursive: true })
    await cp(old, join(world.directory, 'phone', 'state', 'network'), { recursive: true })
    await phone.start()
    await phone.waitForRelay()
    for (const peer of ['attic', 'office', 'cellar']) {
      const ping = await phone.cli('ping', peer, '--count', '1')
      t.not(ping.code, 0)
    }
    await phone.waitFor(
      'its removal, of which who turns it away tells',
      ({ network }) => network?.standing === 'removed',
    )
    for (const agent of all) {
      const { network, peers } = await agent.status()
      t.is(network?.members, 4)
      t.false(peers.some(({ id }) => id === world.idOf('phone')))
    }
  },
)

test.serial(
  'three admins that were apart agree when they meet, and a device that was off hears who was removed',
  async t => {
    await using world = await World.start({ lab: 'here', agents: {} })
    const admins = ['attic', 'office', 'cellar'] as const
    const gone = ['phone', 'tablet', 'camera'] as const
    for (const name of [...admins, ...gone, 'late']) await world.prepare(name)
    const others = { office: ['admin'], cellar: ['admin'], phone: [], tablet: [], camera: [], late: [] }
    await foundIn(world, 'attic', others, 'all')
    const expected = new Set(['attic', 'office', 'cellar', 'late'])
    // Each for itself, while none of them runs: removes one, and takes in one.
    for (const [n, name] of admins.entries()) {
      const fresh = generateKeyPair().id
      await inNetworkOf(world, name, network => {
        network.remove(world.idOf(gone[n] ?? 'phone'))
        network.admit({ peer: fresh, name: `new-${name}`, roles: [name], notAfter: 0 })
      })
      expected.add(`new-${name}`)
    }
    const agents = await Promise.all([...admins, 'late'].map(name => world.startAgent(name, ALONE)))
    const startedAt = performance.now()
    await Promise.all(
      agents.map(async agent => {
        const { peers } = await agent.waitFor('the same members as all', ({ network, peers: seen }) => {
          const names = [agent.name, ...seen.map(({ name }) => name)]
          return network?.members === expected.size && names.every(name => expected.has(name))
        })
        t.is(peers.length, expected.size - 1)
      }),
    )
    t.log(`all agree ${Math.round(performance.now() - startedAt)} ms after the last had started`)
  },
)
