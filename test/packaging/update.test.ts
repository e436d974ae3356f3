import { once } from 'node:events'
import { access, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { AgentStatus } from '../../agent/control/status.ts'
import { guarded } from '../guard.ts'
import { RELEASE_KEY, releaseOf } from '../update/test-release.ts'
import { program } from '../update/updated-home.ts'
import { packageAs } from './another-version.ts'
import { machineRefusal, machineTest } from './base-system.ts'
import { laterPackage } from './debian-package.ts'
import { packaged, VERSION } from './packaged.ts'
import { AGENT, RELAY, running, ServiceScene } from './service-scene.ts'

const NEXT = '0.2.0'
const AFTER_NEXT = '0.3.0'

let scene: ServiceScene
let deb = ''
let before: readonly string[] = []
const bootTest = machineTest()

/** A machine that takes our releases, and is in use. */
test.before(async () => {
  if (machineRefusal() !== undefined) return
  deb = (await packaged('x64')).deb
  scene = await ServiceScene.start()
  const { machine, root } = scene
  before = await scene.files()
  await cp(deb, join(root, 'root/culvert.deb'))
  await machine.run('apt-get install -y /root/culvert.deb 2>&1')
  await writeFile(join(root, 'etc/culvert/release-keys'), `${RELEASE_KEY.id}\n`)
  await scene.writeBootFile()
  await machine.run(`systemctl enable --now ${AGENT} 2>&1`)
  await scene.startOffice()
  await nextProgram(NEXT)
})

test.after.always(async () => {
  if (scene) await scene[Symbol.asyncDispose]()
})

async function nextProgram(version: string): Promise<string> {
  const file = join(scene.world.directory, `culvert-${version}`)
  await packageAs(version, file)
  return file
}

/** Puts it into the machine, signed, as /root/VERSION.update. */
async function writeRelease(version: string, content: string | Uint8Array): Promise<void> {
  await writeFile(join(scene.root, `root/${version}.update`), releaseOf(version, content))
}

/** Which version answers, once one does. */
async function versionNow(): Promise<string> {
  const ask = async () => {
    for (;;) {
      const { code, stdout } = await scene.machine.tryRun('culvert status --json')
      if (code === 0) return (JSON.parse(stdout) as AgentStatus).version
    }
  }
  return guarded(ask(), () => 'no agent answers')
}

bootTest('a version that exits, hangs, or reaches no relay is rolled back by itself, which is told', async t => {
  const { machine, root } = scene
  const config = join(root, 'etc/culvert/agent.json')
  const { relays, ...rest } = JSON.parse(await readFile(config, 'utf8'))
  const lost = { ...rest, controlSocket: '/run/culvert/agent.sock', relays: [{ url: 'http://127.0.0.1:1' }] }
  await writeFile(join(root, 'etc/culvert/lost.json'), JSON.stringify(lost))
  await cp(join(scene.world.directory, `culvert-${NEXT}`), join(root, 'usr/local/lib/culvert-next'))
  // A third of its time each has for the start.
  const broken = [
    ['0.1.1', 12, 'exit 1', /0\.1\.1 did not start, or hangs/],
    ['0.1.2', 12, 'exec sleep 600', /0\.1\.2 did not start, or hangs/],
    [NEXT, 30, 'exec /usr/local/lib/culvert-next agent --config /etc/culvert/lost.json', /0\.2\.0 reached no relay/],
  ] as const
  for (const [version, seconds, agent, reason] of broken) {
    await writeRelease(version, program(version, agent))
    const startedAt = performance.now()
    const done = await machine.tryRun(`culvert update /root/${version}.update --trial ${seconds}`)
    t.log(`${version}: ${Math.round(performance.now() - startedAt)} ms`)
    t.is(done.code, 1, done.stdout)
    t.regex(done.stderr, reason)
    t.regex(done.stderr, /; 0\.1\.0 runs again/)
    await machine.until(AGENT, running)
    t.is(await versionNow(), VERSION)
    const told = await machine.run('culvert status && culvert version')
    t.is(told.match(/^the update to .* was rolled back at 20\S+Z: .*$/gm)?.length, 2, told)
    t.regex(told, reason)
    t.regex(await machine.journal('culvert-update'), reason)
    await scene.answered()
  }
  await machine.run('rm /etc/culvert/lost.json /usr/local/lib/culvert-next')
})

/** Answers at the agent's control socket, as soon as nobody else does, what a file holds. */
const LIAR = `use IO::Socket::UNIX;
my $path = '/run/culvert/agent.sock';
while (1) {
  my $server = IO::Socket::UNIX->new(Local => $path, Listen => 5) or select(undef, undef, undef, 0.05), next;
  while (-e $path and my $client = $server->accept) {
    while (<$client>) { last if /^\\r?\\n/ }
    open(my $file, '<', '/run/lie');
    my $lie = do { local $/; <$file> };
    print $client "HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: " . length($lie) . "\\r\\nConnection: close\\r\\n\\r\\n$lie";
    close $client;
  }
}
`

bootTest('a version that does nothing is not kept, whatever another process of its user says for it', async t => {
  const { machine, root } = scene
  const status = JSON.parse(await machine.run('culvert status --json')) as AgentStatus
  await machine.run('cat > /run/lie', { input: JSON.stringify({ ...status, version: '0.1.3', uptimeS: 1 }) })
  await writeFile(join(root, 'root/liar.pl'), LIAR)
  await machine.run('install -m 644 /root/liar.pl /run/liar.pl')
  await writeRelease('0.1.3', program('0.1.3', 'exec sleep 600'))
  await machine.run('systemd-run --quiet --unit=liar --uid=culvert --collect perl /run/liar.pl')
  const done = await machine.tryRun('culvert update /root/0.1.3.update --trial 30')
  t.is(done.code, 1, done.stdout)
  t.regex(done.stderr, /0\.1\.3 did not start, or hangs/)
  await machine.run('systemctl stop liar && rm /root/liar.pl')
  t.is(await versionNow(), VERSION)
  await scene.answered()
})

/** Starts an update to the next version, and waits until that runs, on trial. */
async function startTrial() {
  const { machine } = scene
  const pid = await machine.until(AGENT, running)
  await writeRelease(NEXT, await readFile(join(scene.world.directory, `culvert-${NEXT}`)))
  const updating = machine.start(`culvert update /root/${NEXT}.update --again`)
  await updating.waitForOutput(/now on trial: it has 180 s to reach a relay and a peer/)
  return { updating, pid: await machine.until(AGENT, (now, state) => running(now, state) && now !== pid) }
}

bootTest('a power cut during a trial has the version before come up', async t => {
  await startTrial()
  t.is(await versionNow(), NEXT)
  await scene.cutPower()
  await scene.boot()
  t.is(await versionNow(), VERSION)
  t.regex(await scene.machine.run('culvert status'), /rolled back: the machine was restarted during its trial/)
  await scene.answered()
})

bootTest('a newer package that is installed during a trial takes its place', async t => {
  const { machine, processes, world, root } = scene
  const newer = { version: AFTER_NEXT, program: await nextProgram(AFTER_NEXT) }
  await cp(await laterPackage(processes, deb, world.directory, newer), join(root, 'root/newer.deb'))
  const { updating, pid } = await startTrial()
  // It is not to be kept before the package is there.
  await machine.run(`kill -STOP ${pid}`)
  await machine.run('apt-get install -y /root/newer.deb 2>&1')
  t.is(await versionNow(), AFTER_NEXT)
  t.regex((await updating.exited).stderr, /0\.2\.0 was rolled back: a package that is as new was installed/)
  t.is((await machine.tryRun('systemctl is-active culvert-update')).stdout, 'inactive\n')
  await machine.run('apt-get install -y --allow-downgrades /root/culvert.deb 2>&1')
  t.is(await versionNow(), VERSION)
})

bootTest('a version that sticks once during its trial gets another chance by the watchdog, and is kept', async t => {
  const { machine, world } = scene
  const dropIn = '/etc/systemd/system/culvert-agent.service.d'
  await machine.run(`mkdir ${dropIn} && printf '[Service]\\nWatchdogSec=8\\n' > ${dropIn}/test.conf`)
  await machine.run('systemctl daemon-reload')
  const stream = await world.agent('office').client.connect('attic', 'echo')
  stream.socket.write('x')
  await once(stream.socket, 'data')
  const cut = t.throwsAsync(stream.ended(), { code: 'session-closed' })

  // The services of this machine have the relay's usual port.
  await machine.run(`printf '{ "listen": "0.0.0.0:8443" }' > /etc/culvert/relay.json && systemctl start ${RELAY}`)
  const relay = await machine.until(RELAY, running)
  const { updating, pid } = await startTrial()
  await machine.run(`kill -STOP ${pid}`)
  await cut
  const second = await machine.until(AGENT, (now, state) => running(now, state) && now !== pid)
  const { code, stdout, stderr } = await updating.exited
  t.is(code, 0, stderr)
  t.regex(stdout, /\nculvert 0\.2\.0 is kept\n$/)
  t.is(await machine.until(AGENT, running), second)
  t.is(await versionNow(), NEXT)
  t.regex(await machine.journal(AGENT), /Failed with result 'watchdog'/)
  t.is(await machine.run(`readlink /proc/${second}/exe`), `/opt/culvert/versions/${NEXT}/culvert\n`)
  const renewed = await machine.until(RELAY, (now, state) => running(now, state) && now !== relay)
  t.is(await machine.run(`readlink /proc/${renewed}/exe`), `/opt/culvert/versions/${NEXT}/culvert\n`)
  await machine.run(`systemctl stop ${RELAY}`)
  await scene.answered()
  const again = await world.agent('office').client.connect('attic', 'echo')
  again.socket.write('y')
  t.is(String((await once(again.socket, 'data'))[0]), 'y')
  again.socket.destroy()
  await machine.run(`rm -r ${dropIn} && systemctl daemon-reload`)
})

bootTest('an older package leaves the update in its place, and a newer one takes it', async t => {
  const { machine, processes, world, root } = scene
  await cp(await laterPackage(processes, deb, world.directory), join(root, 'root/older.deb'))
  const said = await machine.run('apt-get install -y /root/older.deb 2>&1')
  t.regex(said, /culvert: 0\.2\.0, which "culvert update" brought, is newer than this package and goes on/)
  t.is(await versionNow(), NEXT)
  t.regex(await machine.run('culvert version'), /^culvert 0\.2\.0 /)

  await machine.run('apt-get install -y /root/newer.deb 2>&1')
  t.is(await versionNow(), AFTER_NEXT)
  t.regex(await machine.run('culvert version'), /^culvert 0\.3\.0 /)
  await scene.answered()
  const older = await machine.tryRun(`culvert update /root/${NEXT}.update`)
  t.regex(older.stderr, /0\.2\.0 is older than 0\.3\.0, which is here; --allow-downgrade/)
})

bootTest('a purge takes every version with it', async t => {
  const { machine, root } = scene
  await machine.run('apt-get purge -y culvert 2>&1')
  await t.throwsAsync(access(join(root, 'opt/culvert')), { code: 'ENOENT' })
  t.deepEqual(await scene.filesSince(before), [])
  t.notRegex(await machine.run('systemctl list-units --all --no-legend'), /culvert/)
})
