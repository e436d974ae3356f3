import { writeFile } from 'node:fs/promises'
import { rootTest } from '../lab/root-test.ts'
import type { SiteKind } from '../lab/site-kind.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

const KINDS = [
  'none',
  'firewall',
  'eim-eif',
  'eim-adf',
  'eim-apdf',
  'edm',
  'carrier',
  'udp-blocked',
  'https-only',
] as const satisfies readonly SiteKind[]
type Kind = (typeof KINDS)[number]

/**
 * The path each pair must end on: t = direct TCP, u = direct UDP, r = relay. Rows and columns in the order of KINDS.
 *
 * none: whoever can open a TCP connection to any port reaches it. https-only: may reach nothing but ports 80 and 443.
 * Two sides that know their outside TCP addresses meet by simultaneous open, UDP blocked or not. A hard NAT (edm) has
 * another outside port for each destination: a side that has one for all searches it over UDP. Two of them never meet.
 */
const EXPECTED: Readonly<Record<Kind, string>> = {
  none: 't t t t t t t t r',
  firewall: '. t t t t u t t r',
  'eim-eif': '. . t t t u t t r',
  'eim-adf': '. . . t t u t t r',
  'eim-apdf': '. . . . t u t t r',
  edm: '. . . . . r u r r',
  carrier: '. . . . . . t t r',
  'udp-blocked': '. . . . . . . t r',
  'https-only': '. . . . . . . . r',
}

const WORDS = { t: 'tcp', u: 'udp', r: 'relay' } as const

const short = (kind: Kind) => kind.replaceAll('-', '')

rootTest('every pair of NAT kinds carries 8 MiB both ways, on the path that the table says', async t => {
  t.timeout(600_000)
  const names = KINDS.flatMap(kind => [`${short(kind)}a`, `${short(kind)}b`])
  const sites = Object.fromEntries(
    KINDS.flatMap(kind => [[`${short(kind)}a`, kind] as const, [`${short(kind)}b`, kind]]),
  )
  await using world = await World.start({ lab: { sites }, agents: {} })
  const target = await world.serve('echo', echoService)
  for (const name of names) await world.prepare(name)
  await Promise.all(names.map(name => world.startAgent(name, { config: { services: { echo: { target } } } })))
  await Promise.all(
    names.map(name => world.agent(name).waitFor('the relay', ({ relays }) => relays[0]?.state === 'connected')),
  )

  const rows: string[] = []
  for (const [row, from] of KINDS.entries()) {
    const expected = EXPECTED[from].split(' ')
    const line: string[] = []
    for (const [column, to] of KINDS.entries()) {
      if (column < row) {
        line.push('')
        continue
      }
      const want = WORDS[(expected[column] ?? 'r') as keyof typeof WORDS]
      const a = world.agent(`${short(from)}a`)
      const peer = `${short(to)}b`
      const startedAt = performance.now()
      const { socket } = await a.client.connect(peer, 'echo')
      // A search that misses, as one in 250 does, is tried again.
      const connected = a.waitForPeer(peer, `on ${want}`, ({ path }) => path?.kind === want)
      const sealed = connected.then(({ path }) => ({ path, ms: performance.now() - startedAt }))
      sealed.catch(() => undefined)
      const { sent, received, bytes } = await transferBothWays(socket, 8 * MIB)
      t.is(received, sent, `${from} x ${to}`)
      t.is(bytes, 8 * MIB)
      try {
        const { path, ms } = await sealed
        line.push(`${path?.kind}/${path?.how} ${Math.round(ms)}`)
      } catch (thrown) {
        t.fail(`${from} x ${to}: ${String(thrown)}`)
        line.push('FAILED')
      }
    }
    rows.push([from, ...line].join('\t'))
  }
  const table = [['', ...KINDS].join('\t'), ...rows].join('\n')
  t.log(`kind/how and ms from the first request to that path\n${table}`)
  if (process.env.CULVERT_MATRIX) await writeFile(process.env.CULVERT_MATRIX, `${table}\n`)
})

rootTest('two hard NATs connect directly when one of them has UPnP', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'edm', bob: { kind: 'edm', upnp: true } } },
    agents: { alice: {}, bob: {} },
  })
  await world
    .agent('bob')
    .waitFor('a mapped port', ({ nat }) => nat.portMapping.tcp !== null && nat.portMapping.udp !== null)
  const alice = world.agent('alice')
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'direct', ({ path }) => path !== null && path.kind !== 'relay')
  t.is(path?.how, 'mapped')
  t.log(`${path?.kind}/${path?.how} ${path?.remote}`)
})
