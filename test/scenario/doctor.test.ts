import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { Finding, FindingCode } from '../../agent/control/doctor/finding.ts'
import type { DoctorReport } from '../../agent/control/doctor/report.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

interface Examined {
  readonly code: number | null
  readonly report: DoctorReport
  finding(code: FindingCode, subject?: string): Finding
}

async function examine(agent: TestAgent, ...args: readonly string[]): Promise<Examined> {
  const { code, stdout, stderr } = await agent.cli('doctor', ...args, '--json')
  if (stdout === '') throw new Error(`doctor ended with ${code}: ${stderr}`)
  const report = JSON.parse(stdout) as DoctorReport
  return {
    code,
    report,
    finding(wanted, subject) {
      const found = report.findings.find(one => one.code === wanted && (subject ?? one.subject) === one.subject)
      if (!found) throw new Error(`no ${wanted} among ${JSON.stringify(report.findings, null, 1)}`)
      return found
    },
  }
}

rootTest('doctor tells each kind of network in words, whose router is in the way, and what would help', async t => {
  await using world = await World.start({
    lab: {
      sites: {
        refused: { kind: 'edm', upnp: true, upnpRefuses: true },
        hard: 'edm',
        carried: { kind: 'carrier', upnp: true },
        muted: 'udp-blocked',
        webonly: 'https-only',
        easy: 'eim-apdf',
      },
    },
    agents: { refused: {}, hard: {}, carried: {}, muted: {}, webonly: {}, easy: {} },
  })
  const names = ['refused', 'hard', 'carried', 'muted', 'webonly', 'easy'] as const
  await Promise.all(names.map(name => world.agent(name).waitForRelay()))
  const problemKnown = ({ nat }: { readonly nat: { readonly portMapping: { readonly problem: string | null } } }) =>
    nat.portMapping.problem !== null
  for (const name of ['refused', 'hard', 'carried'] as const) {
    await world.agent(name).waitFor('what its router says', problemKnown)
  }

  const { tcp, udp } = world.agent('refused').ports
  const here = await examine(world.agent('refused'), 'hard')
  t.is(here.code, 0, 'nothing is wrong, but much could be better')
  t.true(here.report.tookMs < 12_000 * SLACK, `${here.report.tookMs} ms`)
  t.is(here.finding('nat-address-dependent').severity, 'note')
  const mapping = here.finding('port-mapping-failed')
  t.regex(mapping.text, /^the router here .*UPnP error 606/)
  t.is(
    mapping.remedy,
    `allow UPnP port forwarding for this machine in the router, or forward TCP ${tcp} and UDP ${udp} to 192.168.2.10 in it`,
  )
  t.is(mapping.gain, 'then hard connects directly')
  const relayed = here.finding('peer-relayed', 'hard')
  t.regex(relayed.text, /^relayed: both routers use another outside port for every destination/)
  t.regex(relayed.remedy ?? '', /UPnP error 606.*forward TCP/)
  t.is(relayed.gain, 'then hard connects directly')
  const [examined] = here.report.peers
  t.is(examined?.there?.udp.mapping, 'address-and-port-dependent')
  t.true((examined?.ways ?? []).some(({ result }) => result === 'in-use'))
  t.true((examined?.ways ?? []).some(({ result, reason }) => result === 'failed' && reason !== null))

  const there = await examine(world.agent('hard'), 'muted')
  t.regex(
    there.finding('peer-relayed', 'muted').text,
    /the router here uses another outside port .*, and the network at muted lets no UDP out/,
  )
  const carried = await examine(world.agent('carried'), 'easy')
  t.is(carried.finding('carrier-nat').severity, 'note')
  t.regex(carried.finding('peer-direct', 'easy').text, /^direct over TCP/)
  const muted = await examine(world.agent('muted'), 'hard')
  t.regex(muted.finding('udp-blocked').text, /lets no UDP out/)
  t.regex(
    muted.finding('peer-relayed', 'hard').text,
    /the router at hard uses another outside port .*, and the network here lets no UDP out/,
  )
  const webOnly = await examine(world.agent('webonly'), 'easy')
  t.is(webOnly.finding('web-only').severity, 'note')
  t.regex(webOnly.finding('peer-relayed', 'easy').remedy ?? '', /out of the network here, or set .*443.* at easy/)

  const { stdout } = await world.agent('refused').cli('doctor', 'hard')
  t.log(stdout)
})

rootTest('a line that swallows large packets is told to its owner, and not to who has another line', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'eim-apdf', bob: 'eim-apdf' } },
    agents: { alice: {}, bob: {} },
  })
  const [alice, bob] = [world.agent('alice'), world.agent('bob')]
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  await world.lab.site('alice').setMtu(1_280, { blackHole: true })
  const { code, finding } = await examine(alice)
  t.is(code, 1)
  t.regex(finding('relay-large-packets-lost').remedy ?? '', /MSS clamping/)
  t.is((await examine(bob)).finding('relay-reachable').severity, 'ok')
})

rootTest('doctor has a relay look from outside where something should come in', async t => {
  await using world = await World.start({
    lab: { sites: { open: 'none', walled: 'firewall', mapped: { kind: 'eim-apdf', upnp: true } } },
    agents: { open: {}, walled: {}, mapped: {} },
  })
  await Promise.all(
    ['open', 'walled'].map(name =>
      world.agent(name).waitFor('that there is no NAT', ({ nat }) => nat.udp.mapping === 'none'),
    ),
  )
  await world.agent('mapped').waitFor('a port', ({ nat }) => nat.portMapping.tcp !== null)
  const [open, walled, mapped] = await Promise.all(['open', 'walled', 'mapped'].map(name => examine(world.agent(name))))
  t.regex(open?.finding('reachable').text ?? '', new RegExp(`:${world.agent('open').ports.tcp}$`))
  t.is(open?.finding('nat-none').severity, 'ok')
  t.is(walled?.finding('unreachable').severity, 'note')
  t.is(walled?.finding('nat-firewall').severity, 'ok')
  t.is(mapped?.finding('reachable').severity, 'ok')
  t.is(mapped?.finding('port-mapping-made').severity, 'ok')
  t.deepEqual(
    [open, walled, mapped].map(examined => examined?.code),
    [0, 0, 0],
  )
})

/** Two devices and a relay on this machine; `attic` does not know the office. */
async function startHere(config: Readonly<Record<string, unknown>> = {}) {
  const world = await World.start({ lab: 'here', agents: {} })
  for (const name of ['attic', 'office']) await world.prepare(name)
  const attic = await world.startAgent('attic', { peers: [] })
  const office = await world.startAgent('office', { config })
  return { world, attic, office }
}

test.serial('a peer that does not trust this device is told as that, with the remedy, and exit code 1', async t => {
  const { world, attic, office } = await startHere()
  await using _world = world
  await Promise.all([attic.waitForRelay(), office.waitForRelay()])
  const { code, finding } = await examine(office, 'attic')
  t.is(code, 1)
  t.like(finding('peer-refused', 'attic'), { severity: 'problem', text: 'the peer refuses this device' })
  t.regex(finding('peer-refused', 'attic').remedy ?? '', /add the id of this device/)
  t.is((await examine(office)).code, 1)
  t.is((await office.cli('doctor', 'nobody')).code, 3)
  t.is((await office.cli('doctor', '../x')).code, 2)
})

test.serial('a relay that is down, and one that is another than the config says, are told apart', async t => {
  const { world, office } = await startHere()
  await using _world = world
  await office.waitForRelay()
  const good = await examine(office)
  t.is(good.code, 0, JSON.stringify(good.report.findings))
  t.is(good.finding('relay-reachable').subject, world.relayUrl)
  t.is(good.finding('clock-right').severity, 'ok')

  await world.prepare('shed')
  const shed = await world.startAgent('shed', {
    peers: [],
    config: { relays: [{ url: world.relayUrl, id: generateKeyPair().id }] },
  })
  const wrong = await examine(shed)
  t.is(wrong.code, 1)
  t.regex(wrong.finding('relay-id-wrong').text, /another relay than the config says: the relay says it is [a-z2-7]{52}/)

  await world.relay?.stop()
  const down = await examine(office)
  t.is(down.code, 1)
  t.regex(down.finding('relay-unreachable').text, /ECONNREFUSED/)
})

test.serial('a clock at 1970 is told, and everything else works', async t => {
  await using world = await World.start({ lab: 'here', agents: {} })
  const early = join(world.directory, 'early.mjs')
  await writeFile(early, 'const now = Date.now.bind(Date), start = now()\nDate.now = () => now() - start + 60_000\n')
  await world.prepare('attic')
  await world.prepare('office')
  const environment = { NODE_OPTIONS: `--import=${early}` }
  const [office] = await Promise.all([world.startAgent('office', { environment }), world.startAgent('attic')])
  await Promise.all([office.waitForRelay(), world.agent('attic').waitForRelay()])
  const { code, finding } = await examine(office, 'attic')
  t.is(code, 1)
  t.regex(finding('clock-wrong').text, /^the clock here is 5\d years behind the relay's$/)
  t.is(finding('peer-direct', 'attic').severity, 'ok')
})

test.serial('without an agent the config and its relays are looked at all the same, with exit code 5', async t => {
  const { world, office } = await startHere()
  await using _world = world
  await office.stop()
  const alone = await examine(office, '--config', office.configPath)
  t.is(alone.code, 5)
  t.is(alone.report.agent, 'not-running')
  t.deepEqual(
    alone.report.findings.map(({ code }) => code),
    ['agent-not-running', 'config-valid', 'clock-right', 'relay-reachable'],
  )
  await writeFile(office.configPath, '{ "stateDir": "state", "realys": [] }')
  const broken = await examine(office, 'attic', '--config', office.configPath)
  t.is(broken.code, 5)
  t.regex(broken.finding('config-invalid').text, /"realys"|realys/)
  const { stdout } = await office.cli('doctor', '--config', office.configPath)
  t.regex(stdout, /^This device\n {2}PROBLEM {2}\S+agent\.json: realys: [\s\S]*\n {2}PROBLEM {2}No agent answers/)
})

test.serial('a config that was broken since the start is told before the next start', async t => {
  const { world, office } = await startHere()
  await using _world = world
  await office.waitForRelay()
  await writeFile(office.configPath, '{')
  const { code, finding } = await examine(office)
  t.is(code, 1)
  t.regex(finding('config-invalid').remedy ?? '', /culvert check/)
})
