import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { startLab } from './lab.ts'
import { LabError } from './lab-error.ts'
import { ownerOf } from './lab-identity.ts'
import { ProcessTable } from './lab-process.ts'
import { requireTools } from './required-tools.ts'
import { rootTest } from './root-test.ts'

/** Everything a lab can leave on the machine, by the pid of its owner. */
function tracesOf(pid: number): readonly string[] {
  const places = ['/run/netns', '/etc/netns', '/tmp']
  return places.flatMap(place => readdirSync(place)).filter(name => name.startsWith(`culvert-lab-${pid}-`))
}

/** A process of its own that holds a lab, as a test run or a developer would. */
async function otherOwner(processes: ProcessTable) {
  const owner = processes.start(process.execPath, [join(import.meta.dirname, 'cli.ts'), 'up', 'alice=edm,delay=5'])
  await owner.waitForOutput(/Ctrl-C/)
  return owner
}

rootTest('two labs stand side by side with the same addresses and do not hear each other', async t => {
  await using one = await startLab({ sites: { alice: 'eim-apdf' } })
  await using two = await startLab({ sites: { alice: 'eim-apdf' } })
  t.not(one.id, two.id)
  t.deepEqual(one.host('alice').addresses, two.host('alice').addresses)
  await one.relayHost
    .spawn(process.execPath, ['-e', `require('net').createServer().listen(80, () => console.log('up'))`])
    .waitForOutput(/up/)
  const knock = [
    '-e',
    `require('net').connect(80, 'relay.test', () => process.exit(0)).on('error', () => process.exit(1))`,
  ]
  t.is((await one.host('alice').exec(process.execPath, knock)).code, 0)
  t.is((await two.host('alice').exec(process.execPath, knock)).code, 1)
})

rootTest('a lab that ended has left nothing, not even the grandchildren of its programs', async t => {
  const lab = await startLab({ sites: { alice: { kind: 'edm', upnp: true, lossPct: 0 } } })
  const parent = lab.host('alice').spawn('sh', ['-c', 'sleep 1000 & echo started; exit'])
  await parent.waitForOutput(/started/)
  await parent.ended
  t.not(tracesOf(process.pid).length, 0)
  await lab[Symbol.asyncDispose]()
  t.deepEqual(tracesOf(process.pid), [])
  // Its output is at its end only when nobody holds it any more.
  t.is((await parent.exited).code, 0)
})

rootTest('what a killed owner left behind is removed by the next lab, and a living owner\u2019s is not', async t => {
  const processes = new ProcessTable()
  const [killed, living] = await Promise.all([otherOwner(processes), otherOwner(processes)])
  await killed.stop('SIGKILL')
  t.not(tracesOf(killed.pid).length, 0)
  await using _lab = await startLab({ sites: { bob: 'none' } })
  t.deepEqual(tracesOf(killed.pid), [])
  t.not(tracesOf(living.pid).length, 0)
  t.deepEqual(await living.stop('SIGINT'), { code: 0, signal: null })
  t.deepEqual(tracesOf(living.pid), [])
})

rootTest('an owner that a signal ends without asking takes its lab along', async t => {
  const script = `const { startLab } = await import('${join(import.meta.dirname, 'lab.ts')}')
    await startLab({ sites: { alice: 'edm' } }); console.log('up'); setInterval(() => {}, 1000)`
  const owner = new ProcessTable().start(process.execPath, ['--input-type=module', '-e', script])
  await owner.waitForOutput(/up/)
  t.not(tracesOf(owner.pid).length, 0)
  t.deepEqual(await owner.stop('SIGTERM'), { code: null, signal: 'SIGTERM' })
  t.deepEqual(tracesOf(owner.pid), [])
})

rootTest('a program that fails is a result, one that takes too long an error with its output', async t => {
  await using lab = await startLab({ sites: { alice: 'none' } })
  const { code, stdout, stderr } = await lab
    .host('alice')
    .exec('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'yes' })
  t.deepEqual([code, stdout, stderr], [3, 'yes', 'no\n'])
  const late = lab.host('alice').exec('sh', ['-c', 'echo waiting; exec sleep 1000'], { timeoutMs: 3_000 })
  await t.throwsAsync(late, { instanceOf: LabError, code: 'timeout', message: /waiting/ })
  t.throws(() => lab.host('mallory'), { code: 'unknown-name', message: /only alice/ })
})

test('a missing program is named with its Debian package', t => {
  const error = t.throws(() => requireTools(['nft', 'miniupnpd', 'ip'], '/nowhere'), { instanceOf: LabError })
  t.is(error?.code, 'missing-tool')
  t.regex(error?.message ?? '', /apt-get install nftables miniupnpd miniupnpd-nftables iproute2$/)
})

test('only names of our scheme belong to a lab, and a pid given to another since is not its owner', t => {
  t.is(ownerOf('somebody-elses'), null)
  t.is(ownerOf('culvert-lab-1-abc'), null)
  t.like(ownerOf(`culvert-lab-${process.pid}-1-abcdef-alice.2`), { id: 'abcdef', alive: false })
})
