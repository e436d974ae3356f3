import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import test from 'ava'
import { VERSION } from '../../agent/version.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { guarded } from '../guard.ts'
import type { ExecResult } from '../lab/lab-process.ts'
import { World } from '../scenario/world.ts'
import { releaseOf } from './test-release.ts'
import { buildVersion, program, running, UpdatedHome } from './updated-home.ts'

const NEXT = '0.9.0'
/** For what shall fail: the mute are given up after a third of it. */
const SHORT = ['--trial', '30']

/** Alice, who is updated, and bob, her peer, on loopback. */
async function startHome() {
  const world = await World.start({ lab: 'here', agents: {} })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  await world.startAgent('bob', {})
  return { world, alice: await UpdatedHome.start(world, 'alice') }
}

const bundles = new Map<string, Promise<string>>()
const bundleOf = (version: string) => {
  const bundle = bundles.get(version) ?? buildVersion(version)
  bundles.set(version, bundle)
  return bundle
}
test.after.always(async () => {
  for (const bundle of bundles.values()) await rm(await bundle, { force: true })
})

async function untilTrue(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await wait(50)
}

const shown = ({ code, stdout, stderr }: ExecResult) => `${code}\n${stdout}\n${stderr}`

test.serial('a good version is kept, and runs the commands too', async t => {
  const { world, alice } = await startHome()
  await using _world = world
  await using _alice = alice
  const started = performance.now()
  const done = await alice.update(releaseOf(NEXT, running(await bundleOf(NEXT))), '--trial', '120')
  t.is(done.code, 0, shown(done))
  t.regex(
    done.stdout,
    /^culvert 0\.9\.0, 1 MB, signed by \w{52}\ninstalled; .* 120 s to reach a relay and a peer, else /,
  )
  t.regex(done.stdout, /\nculvert 0\.9\.0 is kept\n$/)
  t.log(`in ${Math.round(performance.now() - started)} ms`)
  await alice.agentOf(NEXT)
  t.regex((await alice.culvert('version', '--home', alice.home)).stdout, /^culvert 0\.9\.0 .*\n$/)
  t.deepEqual((await readdir(alice.home)).toSorted(), ['current', 'outcome', 'versions'])
  // The service is another user than who updates.
  if (process.geteuid?.() === 0) {
    const modes = ['.', 'versions', `versions/${NEXT}`, `versions/${NEXT}/culvert`, 'outcome'].map(async path => {
      return [path, ((await stat(join(alice.home, path))).mode & 0o777).toString(8)]
    })
    const open = { '.': '755', versions: '755', [`versions/${NEXT}`]: '755', [`versions/${NEXT}/culvert`]: '755' }
    t.deepEqual(Object.fromEntries(await Promise.all(modes)), { ...open, outcome: '644' })
  }

  const again = await alice.update(releaseOf(NEXT, running(await bundleOf(NEXT))), '--json')
  t.deepEqual(JSON.parse(again.stdout), { version: NEXT, state: 'current', before: NEXT })
  const older = await alice.update(releaseOf(VERSION, running(await bundleOf(NEXT))))
  t.regex(older.stderr, /0\.1\.0 is older than 0\.9\.0, which is here; --allow-downgrade/)
  t.is(older.code, 1)
})

const BROKEN: readonly (readonly [what: string, agent: (bundle: string, config: string) => string, reason: RegExp])[] =
  [
    ['exits at once', () => 'exit 1', /0\.9\.0 did not start, or hangs/],
    ['hangs', () => 'exec sleep 600', /0\.9\.0 did not start, or hangs/],
    [
      'reaches no relay',
      (bundle, config) => `exec ${process.execPath} ${bundle} agent --config ${config}.no-relay`,
      /0\.9\.0 reached no relay in 30 s/,
    ],
    [
      'reaches no peer',
      (bundle, config) => `exec ${process.execPath} ${bundle} agent --config ${config}.no-peer`,
      /0\.9\.0 reached no peer in 30 s \(before it: bob\)/,
    ],
  ]

test.serial('a version that exits, hangs, or reaches no relay or no peer is rolled back, with the reason', async t => {
  await Promise.all(
    BROKEN.map(async ([what, agent, reason]) => {
      const { world, alice } = await startHome()
      await using _world = world
      await using _alice = alice
      const { configPath } = alice.agent
      const config = JSON.parse(await readFile(configPath, 'utf8'))
      await writeFile(`${configPath}.no-relay`, JSON.stringify({ ...config, relays: [{ url: 'http://127.0.0.1:1' }] }))
      const stranger = { bob: { id: generateKeyPair().id, keep: true } }
      await writeFile(`${configPath}.no-peer`, JSON.stringify({ ...config, peers: stranger }))

      const text = program(NEXT, agent(await bundleOf(NEXT), configPath))
      const done = await alice.update(releaseOf(NEXT, text), ...SHORT)
      t.is(done.code, 1, `${what}: ${shown(done)}`)
      t.regex(done.stderr, reason, what)
      t.regex(done.stderr, /; 0\.1\.0 runs again/)
      await alice.agentOf(VERSION)
      const told = await alice.culvert('version', '--home', alice.home)
      t.regex(told.stdout, /^culvert 0\.1\.0 .*\nthe update to 0\.9\.0 was rolled back at 20\S+Z: /)
      t.regex(told.stdout, reason)
      const again = await alice.update(releaseOf(NEXT, text), ...SHORT)
      t.regex(again.stderr, /0\.9\.0 was rolled back before \(.*\); --again tries it once more/)
    }),
  )
})

test.serial(
  'whoever runs an update may be killed: a good version is kept all the same, and a bad one is not',
  async t => {
    const good = async () => {
      const { world, alice } = await startHome()
      await using _world = world
      await using _alice = alice
      const file = join(world.directory, 'good.update')
      await writeFile(file, releaseOf(NEXT, running(await bundleOf(NEXT))))
      const updating = alice.startUpdate(file, '--trial', '120')
      await updating.waitForOutput(/now on trial/)
      await guarded(
        untilTrue(async () => (await alice.watchers()).length > 0),
        () => updating.stderr,
      )
      await updating.stop('SIGKILL')
      await guarded(
        untilTrue(async () => (await readdir(alice.home)).includes('current')),
        () => 'not kept',
      )
      t.regex((await alice.culvert('version', '--home', alice.home)).stdout, /^culvert 0\.9\.0 .*\n$/)
      await alice.agentOf(NEXT)
    }
    const bad = async () => {
      const { world, alice } = await startHome()
      await using _world = world
      await using _alice = alice
      const file = join(world.directory, 'bad.update')
      await writeFile(file, releaseOf(NEXT, program(NEXT, 'echo hangs >&2; exec sleep 600')))
      const updating = alice.startUpdate(file, '--trial', '12')
      await updating.waitForOutput(/now on trial/)
      await alice.agent.process?.waitForOutput(/hangs/)
      await updating.stop('SIGKILL')
      for (const pid of await alice.watchers()) process.kill(pid, 'SIGKILL')
      await alice.agentOf(VERSION)
      t.deepEqual(await alice.watchers(), [])
      t.regex((await alice.culvert('version', '--home', alice.home)).stdout, /rolled back: its trial ran out/)
      t.regex((await alice.updateFrom(file)).stderr, /was rolled back before \(its trial was cut off\)/)
    }
    await Promise.all([good(), bad()])
  },
)

test.serial('an updater that is killed at any moment leaves a version that runs', async t => {
  const { world, alice } = await startHome()
  await using _world = world
  await using _alice = alice
  await alice.stop()
  const file = join(world.directory, 'good.update')
  await writeFile(file, releaseOf(NEXT, running(await bundleOf(NEXT))))
  const whole = performance.now()
  t.is((await alice.updateFrom(file, '--unproven')).code, 0)
  const wholeMs = performance.now() - whole
  const seen = new Map<string, number>()
  for (let kill = 0; kill < 30; kill++) {
    await rm(join(alice.home, 'current'), { force: true })
    const updating = alice.startUpdate(file, '--unproven')
    await wait(Math.random() * wholeMs)
    await updating.stop('SIGKILL')
    const { stdout, code } = await alice.culvert('version', '--home', alice.home)
    t.is(code, 0)
    t.regex(stdout, /^culvert 0\.[19]\.0 .*\n$/)
    seen.set(stdout, (seen.get(stdout) ?? 0) + 1)
  }
  t.is((await alice.updateFrom(file, '--unproven')).code, 0)
  t.deepEqual(await readdir(join(alice.home, 'versions')), [NEXT])
  t.log([...seen].map(([version, times]) => `${version.trim()}: ${times}`).join(', '))
})

test.serial('what is not for this machine is refused, and nothing is touched', async t => {
  const { world, alice } = await startHome()
  await using _world = world
  await using _alice = alice
  const good = running(await bundleOf(NEXT))
  const release = releaseOf(NEXT, good)
  const flipped = Buffer.from(release)
  flipped.writeUInt8(flipped.readUInt8(release.length - 5) ^ 1, release.length - 5)
  const other = process.arch === 'x64' ? 'arm64' : 'x64'
  const refusals: readonly (readonly [Uint8Array, RegExp])[] = [
    [releaseOf(NEXT, good, {}, generateKeyPair()), /signed by \w{52}, which is no release key of this machine/],
    [releaseOf(NEXT, good, { arch: other }), new RegExp(`it is for ${other}, and this machine is ${process.arch}`)],
    [releaseOf('0.0.9', good), /0\.0\.9 is older than 0\.1\.0, which is here/],
    [release.subarray(0, release.length - 1), /it was cut off after \d+ of \d+ bytes/],
    [release.subarray(0, 200), /no culvert update/],
    [flipped, /its program is not the one that was signed/],
    [Buffer.concat([release, Buffer.from('x')]), /more stands in it than was signed/],
    [releaseOf(NEXT, good, { programBytes: 10 }), /its program is larger than was signed/],
    [releaseOf('0.9.1', good), /it is another version than 0\.9\.1/],
    [releaseOf(NEXT, '#!/no/such/loader\n'), /does not run on this machine/],
    [Buffer.alloc(1 << 20, 7), /no culvert update/],
    [Buffer.of(), /it is empty/],
  ]
  const before = (await alice.agent.status()).uptimeS
  for (const [bytes, reason] of refusals) {
    const done = await alice.update(bytes)
    t.is(done.code, 1, shown(done))
    t.regex(done.stderr, reason)
    t.deepEqual(await readdir(join(alice.home, 'versions')), [])
  }
  t.regex((await alice.updateFrom('http://example.org/x')).stderr, /is not https/)
  t.regex((await alice.updateFrom(join(alice.place, 'none'))).stderr, /there is no such file/)
  t.regex((await alice.culvert('update', 'x', '--home', alice.home)).stderr, /no release key|no such file|cannot read/)
  const { version, uptimeS } = await alice.agent.status()
  t.is(version, VERSION)
  t.true(uptimeS >= before)
})

test.serial('without a relay nothing could be proven, so nothing is installed unless that is wanted', async t => {
  const { world, alice } = await startHome()
  await using _world = world
  await using _alice = alice
  await world.relay?.stop('SIGKILL')
  await alice.agent.waitFor('no relay', ({ relays }) => relays[0]?.state !== 'connected')
  const release = releaseOf(NEXT, running(await bundleOf(NEXT)))
  const refused = await alice.update(release)
  t.is(refused.code, 1)
  t.regex(refused.stderr, /the agent reaches no relay, so nothing could tell whether the update works/)
  const done = await alice.update(release, '--unproven', '--trial', '60')
  t.is(done.code, 0, shown(done))
  t.is((await alice.agent.status()).version, NEXT)
})
