import { copyFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { cpuSeconds, memoryOf } from '../process-cost.ts'
import { nothing, Program } from '../program.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

const WINDOW_S = 90
const REAL_PEERS = ['attic', 'cabin', 'office'] as const
const OTHER_PEERS = ['p4', 'p5', 'p6', 'p7', 'p8', 'p9', 'p10'] as const

/** An agent that knows ten peers and has nothing to do: three of them are there and were used, seven are not. */
export const idle: Row = { name: 'idle', needsRoot: false, seconds: 230, run }

async function run(): Promise<readonly Measured[]> {
  await using stage = await Stage.start({
    near: { kind: 'eim-apdf', upnp: true },
    attic: 'eim-apdf',
    cabin: 'eim-apdf',
    office: 'none',
  })
  await stage.startRelay()
  await stage.prepare('near', ...REAL_PEERS, ...OTHER_PEERS)
  const servicePort = await stage.freePort()
  const ports = await Promise.all(REAL_PEERS.map(() => stage.freePort()))
  // A file of its own, or the pages of Node would count in part for the other processes here.
  const node = join(stage.directory, 'node')
  await copyFile(process.execPath, node)
  // What is not on the disk yet counts as dirty.
  await using file = await open(node)
  await file.sync()
  const forwards = REAL_PEERS.map((peer, i) => ({ listen: `tcp://127.0.0.1:${ports[i]}`, to: `${peer}/traffic` }))
  const agent = await stage.startAgent('near', { node, config: { forwards } })
  await pause(8_000)
  const fresh = memoryOf(agent.pid)

  const near = await Program.start(stage.machine('near'), 'traffic-end')
  const peers = await Promise.all(REAL_PEERS.map(name => startPeer(stage, name, servicePort)))
  for (const port of ports) await near.ask('first', { host: '127.0.0.1', port, limitMs: 15_000 }, nothing)
  // Their leaving closes the sessions; afterwards they are there again.
  for (const { agent: peer } of peers) await peer.process.stop()
  await Promise.all(REAL_PEERS.map(name => stage.startAgent(name)))
  await near.process.stop()
  // Until then a line that was used is asked more often, since it may soon be needed again.
  await pause(125_000)

  const before = { cpu: cpuSeconds(agent.pid), bytes: await lineBytes(stage) }
  await pause(WINDOW_S * 1000)
  const after = { cpu: cpuSeconds(agent.pid), bytes: await lineBytes(stage) }
  const used = memoryOf(agent.pid)
  const cpu = ((after.cpu - before.cpu) / WINDOW_S) * 100
  const one = (measure: string, unit: Measured['unit'], value: number, atMost?: number) =>
    measured({ measure, unit, values: [value], ...(atMost === undefined ? {} : { budget: { of: 'value', atMost } }) })
  return [
    one('PSS, after sessions with 3 peers', 'MB', used.pss, 65),
    one('private dirty, after sessions with 3 peers', 'MB', used.privateDirty, 24),
    one('PSS, fresh', 'MB', fresh.pss, 65),
    one('private dirty, fresh', 'MB', fresh.privateDirty, 24),
    one('processor', '% of a core', cpu, 0.2),
    ...(stage.lab
      ? [one('bytes on its outside line', 'MB/day', ((after.bytes - before.bytes) / WINDOW_S) * 86_400 * 1e-6, 1)]
      : []),
  ]
}

async function startPeer(stage: Stage, name: string, port: number) {
  const service = await Program.start(stage.machine(name), 'traffic-end')
  // Without root all of them are this machine.
  if (stage.lab || name === REAL_PEERS[0]) await service.ask('listen', { host: '127.0.0.1', port }, nothing)
  const services = { traffic: { target: `tcp://127.0.0.1:${port}` } }
  return { service, agent: await stage.startAgent(name, { config: { services } }) }
}

/** Bytes in and out of the site so far, Ethernet headers included; what its router tells its own LAN is not among them. */
async function lineBytes(stage: Stage): Promise<number> {
  if (!stage.lab) return Number.NaN
  const files = ['rx_bytes', 'tx_bytes'].map(name => `/sys/class/net/wan/statistics/${name}`)
  const { stdout } = await stage.lab.site('near').router.exec('cat', files)
  return stdout.split('\n').reduce((sum, line) => sum + Number(line), 0)
}
