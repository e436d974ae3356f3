/**
 * How a line carries: COUNT binding requests to a STUN server, 2 ms apart:
 *
 *   node line-probe.ts SERVER PORT COUNT WAITMS        prints a LineReport as one line of JSON
 */
import { lookup } from 'node:dns/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { StunSocket } from './stun-query.ts'

export interface LineReport {
  readonly sent: number
  readonly answered: number
  /** Null when nothing was answered. */
  readonly medianMs: number | null
}

if (import.meta.main) {
  const [name = 'relay.test', port = '3478', count = '10', waitMs = '500'] = process.argv.slice(2)
  const { address: host } = await lookup(name)
  using socket = await StunSocket.open(host, 0)
  const asked: Promise<number | null>[] = []
  for (let i = 0; i < Number(count); i++) {
    const start = performance.now()
    const answer = socket.ask({ host, port: Number(port) }, { timeoutMs: Number(waitMs), tries: 1 })
    asked.push(answer.then(message => (message ? performance.now() - start : null)))
    await wait(2)
  }
  const times = (await Promise.all(asked)).filter(time => time !== null).toSorted((a, b) => a - b)
  const report: LineReport = { sent: asked.length, answered: times.length, medianMs: times[times.length >> 1] ?? null }
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
