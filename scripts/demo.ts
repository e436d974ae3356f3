import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentStatus } from '../agent/control/status.ts'
import { type Lab, startLab } from '../test/lab/lab.ts'
import { LabError } from '../test/lab/lab-error.ts'
import { type ExecResult, type LabProcess, ProcessTable, type SpawnOptions } from '../test/lab/lab-process.ts'
import { culvertCommand } from '../test/scenario/built-bundle.ts'

const FILE_BYTES = 32 * 1024 * 1024

/** A machine of the demo: a host of the lab, or this machine itself. */
interface Machine {
  spawn(command: string, args: readonly string[], options?: SpawnOptions): LabProcess
  exec(command: string, args: readonly string[]): Promise<ExecResult>
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

function fail(text: string): never {
  throw new Error(text)
}

/** A port that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

async function culvert(machine: Machine, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await machine.exec(...culvertCommand(...args))
  if (code !== 0) fail(`culvert ${args.join(' ')} ended with ${code}: ${stderr || stdout}`)
  return stdout
}

async function editConfig(file: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, JSON.stringify({ ...config, ...changes }, null, 2))
}

interface Story {
  readonly directory: string
  readonly alice: Machine
  readonly bob: Machine
  readonly relayUrl: string
  readonly names: readonly [string, string]
  readonly network: boolean
}

/** Two agents made and connected as a user would; gives the status of the first. */
async function connect({ directory, alice, bob, relayUrl, names, network }: Story): Promise<AgentStatus> {
  const [first, second] = names
  const files = { alice: join(directory, first, 'agent.json'), bob: join(directory, second, 'agent.json') }
  for (const name of names) await mkdir(join(directory, name))
  const [webPort, forwardPort] = [await freePort(), await freePort()]

  say(`\n$ culvert init --name ${first}                    (and ${second})`)
  await culvert(alice, 'init', '--config', files.alice, '--name', first, '--relay', relayUrl)
  await culvert(bob, 'init', '--config', files.bob, '--name', second, '--relay', relayUrl)
  const idOf = async (machine: Machine, file: string) =>
    (JSON.parse(await culvert(machine, 'id', '--json', '--config', file)) as { id: string }).id
  const ids = { alice: await idOf(alice, files.alice), bob: await idOf(bob, files.bob) }
  say(`  ${first}: ${ids.alice}\n  ${second}: ${ids.bob}`)

  const own = (name: string) => ({
    controlSocket: join(directory, `${name}.sock`),
    nat: { portMapping: network },
    lan: { discovery: network },
  })
  await editConfig(files.alice, {
    ...own(first),
    peers: { [second]: { id: ids.bob } },
    forwards: [{ listen: `tcp://127.0.0.1:${forwardPort}`, to: `${second}/web` }],
  })
  await editConfig(files.bob, {
    ...own(second),
    peers: { [first]: { id: ids.alice } },
    services: { web: { target: `tcp://127.0.0.1:${webPort}` } },
  })

  const data = randomBytes(FILE_BYTES)
  const page = join(directory, `${second}.bin`)
  await writeFile(page, data)
  const server = bob.spawn(process.execPath, ['-e', WEB_SERVER, page, String(webPort)])
  await server.waitForOutput(/ready/)
  const agents = [
    alice.spawn(...culvertCommand('agent', '--config', files.alice)),
    bob.spawn(...culvertCommand('agent', '--config', files.bob)),
  ]
  await Promise.all(agents.map(agent => agent.waitForOutput(/agent ready/, { timeoutMs: 15_000 })))
  await Promise.all(agents.map(agent => agent.waitForOutput(/relay connected/, { timeoutMs: 15_000 })))

  const url = `http://127.0.0.1:${forwardPort}/`
  say(`\n$ node -e "fetch('${url}')..."    (on ${first}; the server runs on ${second})`)
  const startedAt = performance.now()
  const got = join(directory, `${first}.bin`)
  const download = await alice.exec(process.execPath, ['-e', DOWNLOAD, url, got])
  if (download.code !== 0) fail(`the download ended with ${download.code}: ${download.stderr}\n${agents[0]?.stderr}`)
  const seconds = (performance.now() - startedAt) / 1000
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const same = hash(await readFile(got)) === hash(data)
  say(`  ${FILE_BYTES / 1024 / 1024} MiB in ${seconds.toFixed(1)} s, SHA-256 ${same ? 'equal' : 'DIFFERS'}`)
  if (!same) fail('the bytes changed on the way')

  const socket = ['--socket', own(first).controlSocket]
  const status = JSON.parse(await culvert(alice, 'status', '--json', ...socket)) as AgentStatus
  say(`\n$ culvert status                                 (on ${first})`)
  say(indent(await culvert(alice, 'status', ...socket)))
  for (const agent of agents) {
    const { code } = await agent.stop('SIGTERM', 3_000)
    if (code !== 0) fail(`an agent ended with ${code} after SIGTERM`)
  }
  await server.stop('SIGTERM', 1_000)
  return status
}

const WEB_SERVER = `
const { createServer } = require('node:http'); const { readFileSync } = require('node:fs')
const body = readFileSync(process.argv[1])
createServer((_, response) => response.end(body)).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))`

const DOWNLOAD = `
const { writeFileSync } = require('node:fs')
fetch(process.argv[1]).then(async response => {
  if (!response.ok) throw new Error('HTTP status ' + response.status)
  writeFileSync(process.argv[2], await response.bytes())
})`

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, '  ')
}

function tell(status: AgentStatus): void {
  const [peer] = status.peers
  if (!peer?.path) fail('there is no path')
  const { kind, transport, how, rttMs } = peer.path
  say(`=> path ${kind} (${transport}, ${how}), round trip ${rttMs} ms`)
  say(`   why: ${peer.why}${peer.remedy ? `\n   remedy: ${peer.remedy}` : ''}`)
  say(`   user bytes over the relay: ${peer.relayBytesIn + peer.relayBytesOut} of ${peer.bytesIn + peer.bytesOut}`)
}

/** A lab for the demo, or why there is none. */
async function labOrReason(): Promise<Lab | string> {
  try {
    return await startLab({ sites: { attic: 'eim-apdf', laptop: 'eim-apdf', office: 'edm', cabin: 'edm' } })
  } catch (thrown) {
    if (thrown instanceof LabError) return thrown.message
    throw thrown
  }
}

async function inTheLab(directory: string, started: Lab): Promise<void> {
  await using lab = started
  const address = lab.relayHost.addresses.v4[0] ?? fail('the lab has no relay address')
  const config = join(directory, 'relay.json')
  await writeFile(config, JSON.stringify({ listen: '0.0.0.0:443', stateDir: join(directory, 'relay') }))
  const relay = lab.relayHost.spawn(...culvertCommand('relay', '--config', config))
  await relay.waitForOutput(/relay ready/)
  const relayUrl = `http://${address}:443`
  say(`A relay runs at ${relayUrl}; four devices stand behind four home routers of their own.`)
  const story = { directory, relayUrl, network: true }

  say('\n== 1. Two common home routers (endpoint-independent mapping, port-dependent filtering): a direct path')
  const direct = await connect({
    ...story,
    alice: lab.host('laptop'),
    bob: lab.host('attic'),
    names: ['laptop', 'attic'],
  })
  tell(direct)
  if (direct.peers[0]?.path?.kind === 'relay') fail('a direct path was possible and not taken')

  say('\n== 2. Two hard NATs (another random outside port for each destination): the relay, with sealed bytes')
  const relayed = await connect({
    ...story,
    alice: lab.host('office'),
    bob: lab.host('cabin'),
    names: ['office', 'cabin'],
  })
  tell(relayed)
}

async function onLoopback(directory: string, why: string): Promise<void> {
  const processes = new ProcessTable()
  try {
    const here: Machine = {
      spawn: (command, args, options) => processes.start(command, args, options),
      exec: (command, args) => processes.start(command, args, { input: '' }).exited,
    }
    const port = await freePort()
    const config = join(directory, 'relay.json')
    const options = { listen: `127.0.0.1:${port}`, stateDir: join(directory, 'relay'), stun: false }
    await writeFile(config, JSON.stringify(options))
    const relay = here.spawn(...culvertCommand('relay', '--config', config))
    await relay.waitForOutput(/relay ready/)
    const relayUrl = `http://127.0.0.1:${port}`
    say(`No real NATs here, two agents meet on one machine instead: ${why}.`)
    say(`A relay runs at ${relayUrl}.`)
    tell(await connect({ directory, relayUrl, alice: here, bob: here, names: ['laptop', 'attic'], network: false }))
  } finally {
    await processes.stopAll()
  }
}

const directory = await mkdtemp(join(tmpdir(), 'culvert-demo-'))
try {
  const lab = await labOrReason()
  if (typeof lab === 'string') await onLoopback(directory, lab)
  else await inTheLab(directory, lab)
  say('\nThe demo is over; nothing of it is left on this machine.')
} catch (thrown) {
  process.stderr.write(`demo: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
  process.exitCode = 1
} finally {
  await rm(directory, { recursive: true, force: true })
}
