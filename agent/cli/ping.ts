import { setTimeout as sleep } from 'node:timers/promises'
import { CulvertError } from '../../common/errors.ts'
import { isPeerText } from '../config/name.ts'
import type { PingReply } from '../control/control-target.ts'
import { formatPath } from '../control/format-status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { pingSummary } from './ping-summary.ts'
import { agentOf } from './running-agent.ts'

const COUNT_DEFAULT = 4
const COUNT_LIMIT = 100_000
const PERIOD_MS = 1000
/** Longer than the agent tries to reach a peer, so that its own answer comes first. */
const TIMEOUT_MS = 30_000

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (!isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const count = countOf(args.value('count'))
  const agent = await agentOf(args, io)
  const replies: PingReply[] = []
  let sent = 0
  let lost: CulvertError | undefined
  while (sent < count && !io.signal.aborted) {
    if (sent > 0 && !(await pauseUnless(io.signal))) break
    sent++
    try {
      const reply = await agent.ping(peer, AbortSignal.any([io.signal, AbortSignal.timeout(TIMEOUT_MS)]))
      replies.push(reply)
      if (!args.flag('json')) io.out(line(`${peer}: ${reply.rttMs.toFixed(1)} ms over ${formatPath(reply.path)}`))
    } catch (thrown) {
      // A path may come back; a peer that is unknown or refuses us will not.
      if (!(thrown instanceof CulvertError) || !isLoss(thrown)) throw thrown
      lost = thrown
      if (!args.flag('json')) io.err(line(`culvert: ${thrown.message}`))
    }
  }
  if (replies.length === 0) throw lost ?? new CulvertError('aborted', 'stopped before the first answer')
  const summary = pingSummary(peer, sent, replies)
  if (args.flag('json')) printJson(io, summary)
  else {
    const { min, p50, max } = summary.rttMs
    io.out(`${summary.received} of ${sent} answered, ${min} / ${p50} / ${max} ms (least, median, most)\n`)
  }
  return EXIT_DONE
}

function countOf(written: string | undefined): number {
  if (written === undefined) return COUNT_DEFAULT
  const count = Number(written)
  if (Number.isInteger(count) && count >= 1 && count <= COUNT_LIMIT) return count
  throw asUsage(`--count takes a whole number from 1 to ${COUNT_LIMIT}, not "${written.slice(0, 80)}"`)
}

function isLoss({ code }: CulvertError): boolean {
  return code === 'peer-unreachable' || code === 'peer-offline' || code === 'timed-out' || code === 'session-closed'
}

async function pauseUnless(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(PERIOD_MS, undefined, { signal })
    return true
  } catch (thrown) {
    if (signal.aborted) return false
    throw thrown
  }
}
