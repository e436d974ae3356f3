import type { ExecutionContext } from 'ava'
import type { PathStatus } from '../../agent/control/status.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

const CASES: Readonly<Record<string, SiteOptions>> = {
  'routers that drop what nobody asked for': { kind: 'eim-apdf', delayMs: 20 },
  'routers that answer it with RST': { kind: 'eim-apdf', delayMs: 20, unsolicitedTcp: 'reset' },
  'routers with ports of their own choice': { kind: 'eim-apdf', delayMs: 5, preservePorts: false },
}

/** Two agents at such sites, UDP blocked at both, carry bytes both ways until TCP is punched; gives that path. */
async function meet(t: ExecutionContext, site: SiteOptions): Promise<PathStatus | null> {
  await using world = await World.start({ lab: { sites: { alice: site, bob: site } }, agents: {} })
  for (const name of ['alice', 'bob']) {
    await world.prepare(name)
    await world.lab.site(name).blockUdp()
  }
  const target = await world.serve('echo', echoService)
  await world.startAgent('bob', { config: { services: { echo: { target } } } })
  const alice = await world.startAgent('alice')
  await alice.waitForRelay()
  const startedAt = performance.now()
  const { socket } = await alice.client.connect('bob', 'echo')
  const direct = alice.waitForPeer('bob', 'direct', ({ path }) => path?.kind === 'tcp')
  const took = direct.then(() => performance.now() - startedAt)
  const { sent, received } = await transferBothWays(socket, 8 * MIB)
  t.is(received, sent)
  t.log(`${Math.round(await took)} ms from the first request to the direct path`)
  const { path } = await direct
  t.is(path?.how, 'punched')
  return path
}

for (const [words, site] of Object.entries(CASES)) {
  rootTest(`TCP meets TCP through two ${words}`, async t => {
    await meet(t, site)
  })
}

rootTest('TCP meets TCP over IPv6 through two firewalls, where IPv4 and UDP lead nowhere', async t => {
  const path = await meet(t, { kind: 'edm', ipv6: 'on' })
  t.regex(path?.remote ?? '', /^\[2001:db8:/)
})
