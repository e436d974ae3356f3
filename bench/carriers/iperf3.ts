import type { Contender } from '../contender.ts'
import { type Ends, through } from '../ends.ts'
import { fieldsOf, numbersOf } from '../program.ts'
import { median } from '../statistics.ts'
import { requireProgram } from './required-program.ts'

/** The kernel's TCP and nothing else, by iperf3; with the machine's congestion control or another one. */
export async function startIperf3(ends: Ends, congestion?: string): Promise<Contender> {
  requireProgram('iperf3', 'iperf3')
  const { near, far } = ends
  const port = String(await ends.stage.freePort())
  const server = far.machine.spawn('iperf3', ['-s', '-p', port, '--forceflush'])
  await server.waitForOutput(/Server listening/)
  const { start } = through(ends, { host: far.machine.address, port: ends.servicePort }, [])
  const control = congestion === undefined ? [] : ['-C', congestion]
  return {
    async bulk({ warmUpMs, windowMs }) {
      // It counts in whole seconds.
      const seconds = [warmUpMs, windowMs].map(ms => String(Math.ceil(ms / 1000)))
      const args = ['-c', far.machine.address, '-p', port, '-J', '-O', seconds[0] ?? '', '-t', seconds[1] ?? '']
      const { stdout } = await near.machine.exec('iperf3', [...args, ...control])
      return rateOf(JSON.parse(stdout))
    },
    roundTrip: async count => median(await near.ask('echo', { ...start, count }, numbersOf)),
    peakMemory: () => Number.NaN,
  }
}

function rateOf(report: unknown) {
  const { end, error } = fieldsOf(report)
  if (error !== undefined) throw new Error(`iperf3: ${String(error)}`)
  const { sum_received, cpu_utilization_percent } = fieldsOf(end)
  const { bits_per_second } = fieldsOf(sum_received)
  const { host_total, remote_total } = fieldsOf(cpu_utilization_percent)
  const bytesPerSecond = Number(bits_per_second) / 8
  const each = [host_total, remote_total].map(percent => Number(percent) / 100 / (bytesPerSecond / 1e9))
  return { mbps: bytesPerSecond * 8e-6, cpuPerGb: each.reduce((sum, one) => sum + one, 0), cpuPerGbEach: each }
}
