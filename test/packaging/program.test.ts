import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import type { startLab } from '../lab/lab.ts'
import { ProcessTable } from '../lab/lab-process.ts'
import { rootTest } from '../lab/root-test.ts'
import { ROOT } from '../scenario/built-bundle.ts'
import { echoService, transferBothWays } from '../scenario/transfer.ts'
import { WITHOUT_UDX } from '../scenario/without-udx.ts'
import { World } from '../scenario/world.ts'
import { SLACK } from '../slack.ts'
import { packaged, VERSION } from './packaged.ts'

const run = promisify(execFile)
const MB = 1e6
/** The machine that runs this. */
const HOST = ARCHITECTURES.find(arch => arch === process.arch) ?? 'x64'

interface Sbom {
  readonly components: readonly SbomComponent[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

interface SbomComponent {
  readonly 'bom-ref': string
  readonly name: string
  readonly components?: readonly SbomComponent[]
}

let program = ''
let sbom = ''

test.before(async () => {
  const made = await packaged(HOST)
  program = made.bin
  sbom = made.sbom
})

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'culvert-packaged-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function writeConfig(folder: string): Promise<string> {
  const config = join(folder, 'agent.json')
  const options = {
    stateDir: join(folder, 'state'),
    controlSocket: join(folder, 'sock'),
    nat: { portMapping: false },
    lan: { discovery: false },
  }
  await mkdir(options.stateDir, { mode: 0o700 })
  await writeFile(config, JSON.stringify(options), { mode: 0o600 })
  return config
}

test('it says what it is, and takes no options that are meant for other programs', async t => {
  const env = { ...process.env, NODE_OPTIONS: '--no-such-option' }
  const { stdout } = await run(program, ['version', '--json'], { env })
  const { commit, update, ...rest } = JSON.parse(stdout)
  t.true(update === null || typeof update === 'object')
  t.deepEqual(rest, { version: VERSION, node: process.versions.node, packaged: true, arch: process.arch })
  t.regex(commit, /^[0-9a-f]{40}(\+changes)?$/)
  t.regex(
    (await run(program, ['version'])).stdout,
    new RegExp(`^culvert ${VERSION} \\(packaged for linux-${HOST}, .*\\)\n`),
  )
})

test('it is within its size', async t => {
  const { size } = await stat(program)
  t.true(size <= 120 * MB, `${size} bytes`)
})

test('it checks a config, with nothing of the checkout at hand', async t => {
  const folder = await temporary(t)
  const config = await writeConfig(folder)
  const { stdout } = await run(program, ['check', '--config', config], { cwd: folder, env: { PATH: '/nonexistent' } })
  t.is(stdout, `${config}: ok\n`)
})

test.serial(`its agent is ready ${150 * SLACK} ms after its start`, async t => {
  const config = await writeConfig(await temporary(t))
  const processes = new ProcessTable()
  t.teardown(() => processes.stopAll())
  const times: number[] = []
  for (let start = 0; start < 5; start++) {
    const startedAt = performance.now()
    const agent = processes.start(program, ['agent', '--config', config])
    await agent.waitForOutput(/agent ready/)
    times.push(Math.round(performance.now() - startedAt))
    await agent.stop('SIGTERM', 10_000)
  }
  t.log(`${times.join(', ')} ms`)
  // The others were disturbed by something else.
  t.true(Math.min(...times) <= 150 * SLACK)
})

test('the licence of everything inside is printed, and everything inside is told', async t => {
  const { stdout: page } = await run(program, ['licenses'], { maxBuffer: 10 * MB })
  t.is(page, (await run(join(ROOT, 'bin/culvert'), ['licenses'], { maxBuffer: 10 * MB })).stdout)
  const { components, dependencies } = JSON.parse(await readFile(sbom, 'utf8')) as Sbom
  const inside = components.flatMap(component => [component, ...(component.components ?? [])])
  for (const { name } of components) t.true(name === 'node' || page.includes(`\n${name}`), name)
  for (const name of ['node', 'v8', 'udx-native', 'libudx', 'node-datachannel', 'openssl', 'usrsctp', 'zod']) {
    t.true(
      inside.some(component => component.name === name),
      name,
    )
  }
  const refs = ['culvert', ...inside.map(component => component['bom-ref'])]
  t.is(new Set(refs).size, refs.length)
  for (const { ref, dependsOn } of dependencies)
    for (const named of [ref, ...dependsOn]) t.true(refs.includes(named), named)
})

test('its native part is a file without a name: kill -9 leaves nothing', async t => {
  const folder = await temporary(t)
  const config = await writeConfig(folder)
  const own = join(folder, 'tmp')
  await mkdir(own)
  const processes = new ProcessTable()
  t.teardown(() => processes.stopAll())
  const agent = processes.start(program, ['agent', '--config', config], {
    env: { TMPDIR: own, RUNTIME_DIRECTORY: own },
  })
  await agent.waitForOutput(/agent ready/, { timeoutMs: 60_000 })
  const maps = await readFile(`/proc/${agent.pid}/maps`, 'utf8')
  t.regex(maps, new RegExp(`r-xp .* ${own}/#\\d+ \\(deleted\\)`))
  // Only the part that is needed: node-datachannel is ten times as large.
  t.is(new Set([...maps.matchAll(/ (\S+) \(deleted\)/g)].map(([, file]) => file)).size, 1, maps)
  agent.child.kill('SIGKILL')
  await agent.exited
  t.deepEqual(await readdir(own), [])
  t.notRegex(agent.stderr, /no direct paths over UDX/)
})

rootTest('the demo runs on it, with home routers in between', async t => {
  const { stdout } = await run(join(ROOT, 'scripts/demo'), [], { env: { ...process.env, CULVERT_BINARY: program } })
  t.regex(stdout, /== 1\..*SHA-256 equal.*=> path (tcp|udp).*== 2\..*SHA-256 equal.*=> path relay/s)
})

rootTest('it reaches a peer without UDX by a data channel', async t => {
  const lab = { sites: { alice: 'eim-adf', bob: 'edm' } } satisfies Parameters<typeof startLab>[0]
  await using world = await World.start({ lab, agents: {} })
  const config = { services: { echo: { target: await world.serve('echo', echoService) } } }
  for (const name of ['alice', 'bob']) await world.prepare(name)
  // Bob is not packaged: the packaged one takes no such option.
  await world.startAgent('bob', { config, environment: { NODE_OPTIONS: WITHOUT_UDX } })
  process.env.CULVERT_BINARY = program
  t.teardown(() => delete process.env.CULVERT_BINARY)
  const alice = await world.startAgent('alice')
  await Promise.all([alice.waitForRelay(), world.agent('bob').waitForRelay()])
  const { socket } = await alice.client.connect('bob', 'echo')
  await alice.waitForPeer('bob', 'over a data channel', ({ path }) => path?.transport === 'datachannel')
  const { sent, received } = await transferBothWays(socket, MB)
  t.is(received, sent)
})
