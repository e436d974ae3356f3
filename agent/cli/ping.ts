import { setTimeout as sleep } from 'node:timers/promises'
import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import { isPeerText } from '../config/name.ts'
import type { ControlClient } from '../control/control-client.ts'
import { errorBody } from '../control/control-error.ts'
import type { PingReply } from '../control/control-target.ts'
import { formatPath } from '../control/format-status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE, exitCodeOf } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { type PingResult, type PingSummary, pingSummary, samePath } from './ping-summary.ts'
import { agentOf } from './running-agent.ts'

const COUNT_DEFAULT = 4
const COUNT_LIMIT = 100_000
const PERIOD_MS = 1000
/** Longer than the agent tries to reach a peer, so that its own answer comes first; help tells both. */
const REACH_MS = 16_000
/** Of one that was there a moment ago, what is later than this is of no use to who watches. */
const TIMEOUT_MS = 5_000

/** A path may come back after these; a peer that is unknown or refuses us will not. */
const LOSSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'peer-unreachable',
  'peer-offline',
  'relay-unreachable',
  'timed-out',
  'session-closed',
  // By the agent, and not by who started the command.
  'aborted',
])

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (!isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const count = countOf(args.value('count'))
  const agent = await agentOf(args, io)
  const json = args.flag('json')
  const results: PingResult[] = []
  let last: PingReply['path'] | undefined
  let lost: CulvertError | undefined
  while (results.length < count && !io.signal.aborted) {
    if (results.length > 0 && !(await pauseUnless(io.signal))) break
    const outcome = await pingOnce(agent, peer, last ? TIMEOUT_MS : REACH_MS, io.signal)
    if (outcome === undefined) break
    const seq = results.length + 1
    if (outcome instanceof CulvertError) {
      lost = outcome
      results.push({ seq, lost: outcome.message })
      if (!json) io.err(line(`culvert: ${outcome.message}`))
      continue
    }
    const { rttMs, path } = outcome
    results.push({ seq, rttMs: Math.round(rttMs * 100) / 100, path })
    if (!json) {
      if (last && !samePath(path, last)) io.out(line(`${peer}: moved from ${formatPath(last)} to ${formatPath(path)}`))
      io.out(line(`${peer}: ${rttMs.toFixed(1)} ms over ${formatPath(path)}`))
    }
    last = path
  }
  if (!last && !lost) throw new CulvertError('aborted', 'stopped before the first answer')
  const summary = pingSummary(peer, results)
  const failure = last ? undefined : lost
  if (json) {
    printJson(io, failure ? { ...summary, ...errorBody(failure) } : summary)
    if (failure) io.err(line(`culvert: ${failure.message}`))
  } else {
    io.out(line(formatSummary(summary)))
  }
  return failure ? exitCodeOf(failure.code) : EXIT_DONE
}

/** Undefined when the command was stopped meanwhile. */
async function pingOnce(
  agent: ControlClient,
  peer: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<PingReply | CulvertError | undefined> {
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    return await agent.ping(peer, AbortSignal.any([signal, limit]))
  } catch (thrown) {
    if (signal.aborted) return undefined
    if (limit.aborted) return new CulvertError('timed-out', `${peer}: no answer in ${timeoutMs / 1000} s`)
    if (thrown instanceof CulvertError && LOSSES.has(thrown.code)) return thrown
    throw thrown
  }
}

/** Why nothing was answered is on the page already, once for each. */
function formatSummary({ count, received, lossPct, rttMs, pathChanges }: PingSummary): string {
  if (!rttMs) return `0 of ${count} answered`
  const moves = pathChanges === 0 ? '' : `, ${pathChanges} ${pathChanges === 1 ? 'change' : 'changes'} of path`
  const { min, avg, max } = rttMs
  return `${received} of ${count} answered (${lossPct} % lost), ${min} / ${avg} / ${max} ms (least, mean, most)${moves}`
}

function countOf(written: string | undefined): number {
  if (written === undefined) return COUNT_DEFAULT
  const count = Number(written)
  if (Number.isInteger(count) && count >= 1 && count <= COUNT_LIMIT) return count
  throw asUsage(`--count takes a whole number from 1 to ${COUNT_LIMIT}, not "${written.slice(0, 80)}"`)
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
