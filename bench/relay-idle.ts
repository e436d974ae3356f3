import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestAgent, testAgent } from '../test/relay/test-agent.ts'

export interface RelayIdleResult {
  readonly lines: number
  /** Resident memory of the relay per idle agent on a plain control line, each watching ten others. */
  readonly bytesPerLine: number
}

/** A young generation that grows to its full 48 MB while agents connect would be counted as theirs. */
const FLAGS = ['--expose-gc', '--max-semi-space-size=2']

/** Connects a tenth of `lines` to warm the relay up, then all, and compares its resident memory. */
export async function measureRelayIdle(lines = 1_000): Promise<RelayIdleResult> {
  const child = spawn(process.execPath, [...FLAGS, join(import.meta.dirname, 'relay-idle-role.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const port = Number(String((await once(child.stdout, 'data'))[0]))
    const agents: TestAgent[] = []
    const grow = async (count: number) => {
      while (agents.length < count) {
        const batch = Array.from({ length: Math.min(50, count - agents.length) }, () =>
          testAgent({ address: '127.0.0.1', port }),
        )
        agents.push(...(await Promise.all(batch)))
      }
      for (const [index, { line }] of agents.entries()) {
        const peers = Array.from({ length: 10 }, (_, step) => agents[(index + step + 1) % agents.length]?.id ?? '')
        line.say({ type: 'watch', peers: agents.map(agent => agent.id).filter(id => peers.includes(id)) })
        line.say({ type: 'ping', id: 1 })
      }
      await Promise.all(agents.map(({ line }) => line.next('pong')))
    }
    const resident = async () => {
      child.stdin.write('\n')
      const [bytes, seen] = String((await once(child.stdout, 'data'))[0])
        .split(' ')
        .map(Number)
      if (seen !== agents.length) throw new Error(`relay has ${seen} of ${agents.length} lines`)
      return bytes ?? 0
    }
    const warm = Math.floor(lines / 10)
    await grow(warm)
    const before = await resident()
    await grow(warm + lines)
    const after = await resident()
    return { lines, bytesPerLine: Math.round((after - before) / lines) }
  } finally {
    child.kill('SIGKILL')
  }
}
