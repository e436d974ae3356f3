import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { ExecutionContext } from 'ava'
import { rootTest } from '../lab/root-test.ts'
import { ROOT } from './built-bundle.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const WEB_PORT = 8000
const FORWARD_PORT = 8001
const FILE_BYTES = 100_000_000

rootTest('scp, rsync and curl work from one NATed home to another, and connect tells why it cannot', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'eim-apdf', bob: 'eim-apdf', carol: 'eim-apdf' } },
    agents: {},
  })
  for (const name of ['alice', 'bob', 'carol']) await world.prepare(name)
  const alice = await world.startAgent('alice', {
    config: { forwards: [{ listen: `tcp://127.0.0.1:${FORWARD_PORT}`, to: 'bob/web' }] },
  })
  const bob = await world.startAgent('bob', {
    config: {
      services: {
        ssh: { target: 'tcp://127.0.0.1:22' },
        web: { target: `tcp://127.0.0.1:${WEB_PORT}` },
        closed: { target: 'tcp://127.0.0.1:9' },
        family: { target: 'tcp://127.0.0.1:22', allow: ['peer:carol'] },
      },
    },
  })
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  const directory = join(world.directory, 'files')
  await mkdir(directory)

  const ssh = await startSshd(world, alice, bob)
  const original = join(directory, 'original')
  await writeFile(original, randomBytes(20_000_000))
  const hash = await sha256(original)

  await t.notThrowsAsync(succeed(alice, 'scp', ['-F', ssh, original, `bob:${join(directory, 'by-scp')}`]))
  t.is(await sha256(join(directory, 'by-scp')), hash)
  await t.notThrowsAsync(succeed(alice, 'scp', ['-F', ssh, `bob:${original}`, join(directory, 'back')]))
  t.is(await sha256(join(directory, 'back')), hash)

  await changeSomeBytes(join(directory, 'back'))
  const rsync = ['-c', '-e', `ssh -F ${ssh}`, '--stats', join(directory, 'back'), `bob:${join(directory, 'by-scp')}`]
  const stats = await succeed(alice, 'rsync', rsync)
  t.is(await sha256(join(directory, 'by-scp')), await sha256(join(directory, 'back')))
  const literal = Number(/Literal data: ([\d,]+)/.exec(stats)?.[1]?.replaceAll(',', ''))
  t.true(literal < 1_000_000, `rsync spoke with the other rsync: it sent ${literal} bytes of 20,000,000`)

  await curlThroughForward(t, alice, bob, directory)
  const { path, relayBytesIn, relayBytesOut } = await alice.peer('bob')
  t.not(path?.kind, 'relay')
  t.is(relayBytesIn + relayBytesOut, 0)

  await connectTellsWhyNot(t, world, alice)
})

/** A real sshd on 127.0.0.1:22 of bob's host; gives the ssh config with which alice's host reaches it. */
async function startSshd(world: World, alice: TestAgent, bob: TestAgent): Promise<string> {
  const directory = join(world.directory, 'ssh')
  await mkdir(directory, { mode: 0o700 })
  const file = (name: string) => join(directory, name)
  for (const key of ['host', 'user']) {
    await succeed(bob, 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(key)])
  }
  const server = [
    'ListenAddress 127.0.0.1',
    'Port 22',
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('user.pub')}`,
    'PermitRootLogin yes',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    'Subsystem sftp internal-sftp',
  ]
  await writeFile(file('sshd_config'), `${server.join('\n')}\n`)
  await writeFile(file('known_hosts'), `bob ${await readFile(file('host.pub'), 'utf8')}`)
  const client = [
    'Host bob',
    `ProxyCommand ${join(ROOT, 'bin/culvert')} connect --socket ${alice.socketPath} bob/ssh`,
    `User ${userInfo().username}`,
    `IdentityFile ${file('user')}`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${file('known_hosts')}`,
    'StrictHostKeyChecking yes',
    'BatchMode yes',
  ]
  await writeFile(file('config'), `${client.join('\n')}\n`)
  // sshd insists on a directory under /run; this one is seen by it alone, as every lab program has its own mounts.
  const start = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f "$0"'
  const sshd = bob.host.spawn('sh', ['-c', start, file('sshd_config')])
  await sshd.waitForOutput(/Server listening/)
  return file('config')
}

async function curlThroughForward(t: ExecutionContext, alice: TestAgent, bob: TestAgent, directory: string) {
  const page = join(directory, 'page')
  await writeFile(page, randomBytes(FILE_BYTES))
  const server = bob.host.spawn(process.execPath, ['-e', WEB_SERVER, page, String(WEB_PORT)])
  await server.waitForOutput(/ready/)
  const got = join(directory, 'got')
  const startedAt = performance.now()
  await succeed(alice, 'curl', ['-sS', '--fail', '-o', got, `http://127.0.0.1:${FORWARD_PORT}/`])
  const seconds = (performance.now() - startedAt) / 1000
  t.is(await sha256(got), await sha256(page))
  t.log(`curl: 100 MB in ${seconds.toFixed(1)} s, ${Math.round((FILE_BYTES * 8) / 1e6 / seconds)} Mbit/s`)
}

async function connectTellsWhyNot(t: ExecutionContext, world: World, alice: TestAgent) {
  const connect = async (to: string, socket = alice.socketPath) => {
    const { code, stderr, stdout } = await alice.run(['connect', '--socket', socket, to], {})
    t.is(stdout, '')
    t.is(stderr.trimEnd().split('\n').length, 1, stderr)
    return { code, said: stderr.trimEnd() }
  }
  const nobody = await connect('nobody/ssh')
  t.is(nobody.code, 3)
  t.regex(nobody.said, /no peer is called "nobody".*bob, carol/)
  const offline = await connect('carol/ssh')
  t.is(offline.code, 3)
  t.regex(offline.said, /not connected to the relay/)
  const unknown = await connect('bob/printer')
  t.is(unknown.code, 1)
  t.regex(unknown.said, /no service/)
  const down = await connect('bob/closed')
  t.is(down.code, 1)
  t.regex(down.said, /closed.*does not answer/)
  const forbidden = await connect('bob/family')
  t.is(forbidden.code, 4)
  t.regex(forbidden.said, /not for this peer/)
  const noAgent = await connect('bob/ssh', join(world.directory, 'nowhere.sock'))
  t.is(noAgent.code, 5)
  t.regex(noAgent.said, /no agent answers/)
  t.is((await connect('bob')).code, 2)
}

const WEB_SERVER = `
const { createServer } = require('node:http'); const { createReadStream } = require('node:fs')
createServer((_, response) => createReadStream(process.argv[1]).pipe(response))
  .listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))`

/** Runs a program to its end and gives what it printed; anything but exit code 0 is an error. */
async function succeed({ host }: TestAgent, command: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.exec(command, args, { timeoutMs: 60_000 })
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${stderr}${stdout}`)
  return stdout
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

async function changeSomeBytes(file: string): Promise<void> {
  const bytes = await readFile(file)
  for (let at = 0; at < bytes.length; at += bytes.length / 10) bytes.writeUInt8(~(bytes[at] ?? 0) & 0xff, at)
  await writeFile(file, bytes)
}
