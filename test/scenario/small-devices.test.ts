import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { requireTools } from '../lab/required-tools.ts'
import { rootTest } from '../lab/root-test.ts'
import { BUNDLE, ROOT } from './built-bundle.ts'
import { type Machine, ThisMachine } from './machine.ts'
import { MemoryGroup } from './memory-group.ts'
import { isDirect, TestAgent } from './test-agent.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024
/** Several of each of an agent's periods but the hourly ones. */
const IDLE_MS = 20_000

/** An agent of the world, stopped, as one that is started by other means. */
async function handOver(world: World, name: string, host: Machine, options = {}): Promise<TestAgent> {
  const from = await world.startAgent(name, options)
  await from.stop()
  const { configPath, socketPath } = from
  return new TestAgent({ name, host, configPath, socketPath, environment: {} })
}

rootTest('an agent with 128 MB carries bulk both ways and is not killed for want of memory', async t => {
  await using group = await MemoryGroup.make(128 * MIB)
  if (!group) {
    t.log('no control group can be made here')
    t.pass()
    return
  }
  await using world = await World.start({ lab: 'here', agents: {} })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  await using here = new ThisMachine()
  const bob = await handOver(world, 'bob', group.machine(here), { config: { services: { echo: { target } } } })
  await bob.start()
  t.regex(bob.log, /little memory: fewer buffers limitMb=134/)
  const alice = await world.startAgent('alice')
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  const transfers = Array.from({ length: 8 }, async () => {
    const { socket } = await alice.client.connect('bob', 'echo')
    return transferBothWays(socket, 24 * MIB)
  })
  for (const { sent, received } of await Promise.all(transfers)) t.is(received, sent)
  t.is(await group.kills(), 0)
  t.is((await bob.peer('alice')).state, 'connected')
  t.log(`peak ${Math.round((await group.peakBytes()) / 1e6)} MB of the group, files included`)
  t.log(`peak ${await bob.peakMemoryMb()} MB resident`)
  await bob.stop()
})

/** What was made, opened to be written, put in place or removed on a disk, in order, without what stands for chance. */
function changesIn(trace: string): readonly string[] {
  return trace.split('\n').flatMap(line => {
    const call = /^\d+ +(\w+)\(/.exec(line)?.[1]
    if (call === undefined || (call === 'openat' && !/O_WRONLY|O_RDWR|O_CREAT/.test(line))) return []
    if (/ = -1 /.test(line)) return []
    const path = [...line.matchAll(/"([^"]+)"/g)].at(-1)?.[1] ?? ''
    if (/^\/(dev|proc)\//.test(path)) return []
    return [`${call} ${basename(path).replace(/\.[0-9a-f]{12}\.new$/, '.new')}`]
  })
}

const CALLS =
  'openat,creat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,truncate,ftruncate,fallocate'

/** The changes on disk while an agent starts, does what it is to do, and ends. */
async function changesOf(agent: TestAgent, host: Machine, log: string, during: () => Promise<void>) {
  const command = [process.execPath, BUNDLE, 'agent', '--config', agent.configPath]
  agent.process = host.spawn('strace', ['-f', '-o', log, '-e', `trace=${CALLS}`, ...command])
  await agent.process.waitForOutput(/agent ready/, { timeoutMs: 120_000 })
  const atStart = changesIn(await readFile(log, 'utf8'))
  await during()
  const meanwhile = changesIn(await readFile(log, 'utf8')).slice(atStart.length)
  process.kill(Number((await readFile(log, 'utf8')).split(' ', 1)[0]), 'SIGTERM')
  await agent.process.exited
  const atEnd = changesIn(await readFile(log, 'utf8')).slice(atStart.length + meanwhile.length)
  return { atStart, meanwhile, atEnd }
}

const REPLACED = (file: string) => [`openat ${file}.new`, `rename ${file}`]
/** Where this device and its peers are, which is written when it is new. */
const RECORDS = ['address-record', 'address-book.json'].flatMap(REPLACED)
const butRecords = (changes: readonly string[]) => changes.filter(change => !RECORDS.includes(change))

rootTest(
  'an agent writes its ports once, where it and its peers are once, and what it learnt of paths at its end; else nothing',
  async t => {
    requireTools(['strace'])
    await using world = await World.start({ lab: { sites: { alice: 'eim-apdf', bob: 'eim-apdf' } }, agents: {} })
    const target = await world.serve('echo', echoService)
    for (const name of ['alice', 'bob']) await world.prepare(name)
    await world.startAgent('bob', { config: { services: { echo: { target } } } })
    const host = world.lab.host('alice')
    const alice = await handOver(world, 'alice', host, { keep: true })
    const stateDir = join(world.directory, 'alice/state')
    await rm(join(stateDir, 'ports.json'))
    await rm(join(stateDir, 'paths.json'), { force: true })
    const busyThenIdle = async () => {
      await alice.waitForPeer('bob', 'direct', isDirect)
      const { socket } = await alice.client.connect('bob', 'echo')
      const { sent, received } = await transferBothWays(socket, MIB)
      t.is(received, sent)
      await wait(IDLE_MS)
    }
    const log = join(world.directory, 'trace')
    const first = await changesOf(alice, host, log, busyThenIdle)
    t.deepEqual(first.atStart, [...REPLACED('ports.json')])
    t.deepEqual(butRecords(first.meanwhile), [])
    t.deepEqual(
      butRecords(first.atEnd).filter(change => !change.endsWith('agent.sock')),
      REPLACED('paths.json'),
    )
    const recorded = [...first.meanwhile, ...first.atEnd].filter(change => RECORDS.includes(change))
    t.true(recorded.length <= RECORDS.length, recorded.join())
    const second = await changesOf(alice, host, log, busyThenIdle)
    t.deepEqual([second.atStart, butRecords(second.meanwhile)], [[], []])
    t.true(second.meanwhile.length <= RECORDS.length, second.meanwhile.join())
  },
)

/** Runs with a state directory of a mebibyte, which `prepare` fills or closes. */
async function onDisk(
  t: ExecutionContext,
  prepare: (stateDir: string) => Promise<void>,
  run: (agent: TestAgent) => Promise<void>,
) {
  await using world = await World.start({ lab: 'here', agents: {} })
  await using here = new ThisMachine()
  const stateDir = join(world.directory, 'alice/state')
  await mkdir(stateDir, { recursive: true })
  t.is((await here.exec('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', stateDir])).code, 0)
  try {
    await world.prepare('alice')
    await prepare(stateDir)
    const config = {
      name: 'alice',
      stateDir,
      controlSocket: join(world.directory, 'alice.sock'),
      relays: [{ url: world.relayUrl }],
    }
    const configPath = join(world.directory, 'alice.json')
    await writeFile(configPath, JSON.stringify({ ...config, nat: { portMapping: false }, lan: { discovery: false } }))
    const agent = new TestAgent({
      name: 'alice',
      host: here,
      configPath,
      socketPath: config.controlSocket,
      environment: {},
    })
    await run(agent)
  } finally {
    await here.exec('umount', ['-l', stateDir])
  }
}

/** Leaves no byte of room. */
async function fill(stateDir: string): Promise<void> {
  await using file = await open(join(stateDir, 'full'), 'w')
  for (let room = true; room; ) {
    room = await file.write(Buffer.alloc(4096, 1)).then(
      () => true,
      () => false,
    )
  }
}

rootTest(
  'an agent starts and works on a disk that is full, or that takes no writes, and says what it could not keep',
  async t => {
    const works = async (agent: TestAgent) => {
      await agent.start()
      await agent.waitForRelay()
      t.regex(agent.log, /cannot write \S+ports\.json; other ports are chosen at the next start/)
      t.is((await agent.stop()).code, 0)
    }
    await onDisk(t, fill, works)
    const close = async (stateDir: string) => {
      const { code } = await new ThisMachine().exec('mount', ['-o', 'remount,ro', stateDir])
      t.is(code, 0)
    }
    await onDisk(t, close, works)
  },
)

rootTest(
  'without room for its identity an agent ends at once and says what is wrong, and starts once there is room',
  async t => {
    const noIdentity = async (stateDir: string) => {
      for (const file of await readdir(stateDir)) await rm(join(stateDir, file))
      await fill(stateDir)
    }
    await onDisk(t, noIdentity, async agent => {
      const ended = await agent.cli('agent', '--config', agent.configPath)
      t.is(ended.code, 1)
      t.regex(ended.stderr, /cannot use the state directory \S+ \(ENOSPC.*\); check the disk/)
      const { stateDir } = JSON.parse(await readFile(agent.configPath, 'utf8'))
      t.deepEqual(await readdir(stateDir), ['full'])
      await rm(join(stateDir, 'full'))
      await agent.start()
      await agent.waitForRelay()
      t.is((await agent.stop()).code, 0)
    })
  },
)

rootTest('an agent without any network, name server or clock starts, answers, and waits', async t => {
  await using world = await World.start({ lab: 'here', agents: {}, relay: false })
  await world.prepare('alice')
  await using here = new ThisMachine()
  const nowhere: Machine = {
    exec: (...call) => here.exec(...call),
    spawn: (command, args = [], options = {}) => here.spawn('unshare', ['--net', command, ...args], options),
  }
  const relays = [{ url: 'https://relay.example.org' }]
  const { configPath, socketPath } = await handOver(world, 'alice', nowhere, { config: { relays } })
  const environment = { NODE_OPTIONS: `--require=${join(ROOT, 'test/scenario/skewed-clock.cjs')}` }
  const alice = new TestAgent({ name: 'alice', host: nowhere, configPath, socketPath, environment })
  await alice.start()
  t.regex(alice.log, /wall clock 1970/)
  const { relays: shown } = await alice.waitFor('a first failure', ({ relays: [relay] }) => relay?.lastError !== null)
  t.is(shown[0]?.state, 'connecting')
  const doctor = await alice.cli('doctor', '--json')
  t.is(
    JSON.parse(doctor.stdout).findings.find(({ code }: { code: string }) => code === 'relay-name-unknown')?.severity,
    'problem',
  )
  t.is((await alice.stop()).code, 0)
})
