import { once } from 'node:events'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { makeCertificate } from '../../test/relay/certificate.ts'
import { memoryOf } from '../process-cost.ts'
import { nothing, Program } from '../program.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

/** Lines that are there before it counts, so that what a relay needs once is not put down to them. */
const FIRST_LINES = 200
/** So many that what the heap takes and gives back by chance does not count. */
const LINES = { plain: 3_000, tls: 3_000 } as const

/** What the relay keeps for each agent that is connected and idle. */
export const relayMemory: Row = { name: 'relay-memory', needsRoot: false, seconds: 30, run }

async function run(): Promise<readonly Measured[]> {
  const budget = (atMost: number) => ({ of: 'value', atMost }) as const
  return [
    measured({ measure: 'per idle agent, plain', unit: 'kB', values: [await perLine(false)], budget: budget(12) }),
    measured({ measure: 'per idle agent, TLS', unit: 'kB', values: [await perLine(true)], budget: budget(60) }),
  ]
}

async function perLine(tls: boolean): Promise<number> {
  await using stage = await Stage.local()
  const [cert, key] = [join(stage.directory, 'relay.crt'), join(stage.directory, 'relay.key')]
  makeCertificate('relay', cert, key)
  const limits = { connectionsPerAddress: 16_000, handshakesPerSecond: 100_000 }
  const options = { limits, stun: false, ...(tls ? { tls: { cert, key } } : {}) }
  const relay = await stage.startRelay(options, ['--inspect=127.0.0.1:0'])
  const [, inspector = ''] = await relay.waitForOutput(/listening on (ws:\S+)/)
  const client = await Program.start(stage.relayMachine, 'idle-lines', [
    stage.relayUrl.replace('http', tls ? 'wss' : 'ws'),
  ])
  const settled = async (lines: number) => {
    await client.ask('open', { lines }, nothing)
    await pause(1_000)
    await collectGarbage(inspector)
    await pause(1_000)
    return memoryOf(relay.pid).privateDirty
  }
  const before = await settled(FIRST_LINES)
  const lines = tls ? LINES.tls : LINES.plain
  const after = await settled(lines)
  return ((after - before) * 1000) / lines
}

/** What handshakes leave behind is no memory of a line; without this, V8 keeps it until it needs the room. */
async function collectGarbage(inspector: string): Promise<void> {
  const socket = new WebSocket(inspector)
  await once(socket, 'open')
  for (const id of [1, 2, 3]) {
    const answered = once(socket, 'message')
    socket.send(JSON.stringify({ id, method: 'HeapProfiler.collectGarbage' }))
    await answered
  }
  socket.close()
}
