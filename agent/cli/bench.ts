import { isPeerText } from '../config/name.ts'
import type { BenchReply } from '../control/control-target.ts'
import { formatBytes, formatPath } from '../control/format-status.ts'
import type { RoundTrips } from '../service/round-trips.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

const SECONDS_DEFAULT = 5
const SECONDS_LIMIT = 30

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (!isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const wish = { durationMs: secondsOf(args.value('seconds')) * 1000, overRelay: args.flag('relay') }
  const json = args.flag('json')
  const agent = await agentOf(args, io)
  const sent = await agent.bench(peer, { direction: 'send', ...wish }, io.signal)
  if (!json) io.out(`${headOf(peer, sent)}${row('there', sent)}`)
  const received = await agent.bench(peer, { direction: 'receive', ...wish }, io.signal)
  if (json) printJson(io, { peer, send: sent, receive: received })
  else io.out(`${row('back', received)}${roundTripRow(sent, received)}`)
  return EXIT_DONE
}

function secondsOf(written: string | undefined): number {
  if (written === undefined) return SECONDS_DEFAULT
  const seconds = Number(written)
  if (seconds >= 0.1 && seconds <= SECONDS_LIMIT) return seconds
  throw asUsage(`--seconds takes a number from 0.1 to ${SECONDS_LIMIT}, not "${written.slice(0, 80)}"`)
}

function headOf(peer: string, { path, limitedByRelay }: BenchReply): string {
  const short = limitedByRelay
    ? line('This path is somebody’s relay, so little is sent: --relay measures as long as over other paths.')
    : ''
  return `${line(`${peer} over ${formatPath(path)}`)}${short}`
}

function row(way: string, { bitsPerS, bytes, ms, pathAtEnd }: BenchReply): string {
  const moved = pathAtEnd ? `, and moved to ${formatPath(pathAtEnd)} meanwhile` : ''
  return line(
    `${way.padEnd(10)}  ${formatRate(bitsPerS).padStart(10)}   ${formatBytes(bytes)} in ${seconds(ms)}${moved}`,
  )
}

function roundTripRow(sent: BenchReply, received: BenchReply): string {
  const parts = [
    ['idle', sent.rttMs.idle],
    ['sending', sent.rttMs.load],
    ['receiving', received.rttMs.load],
  ] as const
  const shown = parts.map(([when, rtt]) => `${when} ${formatRoundTrips(rtt)}`)
  return line(`${'round trip'.padEnd(10)}  ${shown.join(', ')}`)
}

function formatRoundTrips(rtt: RoundTrips | null): string {
  return rtt === null ? '-' : `${rtt.p50.toFixed(1)} ms (${rtt.max.toFixed(1)} at most)`
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** Decimal units, as lines are sold: `94.2 Mbit/s`. */
function formatRate(bitsPerS: number): string {
  if (bitsPerS >= 1e9) return `${(bitsPerS / 1e9).toFixed(2)} Gbit/s`
  if (bitsPerS >= 1e6) return `${(bitsPerS / 1e6).toFixed(bitsPerS >= 1e8 ? 0 : 1)} Mbit/s`
  return `${(bitsPerS / 1e3).toFixed(0)} kbit/s`
}
