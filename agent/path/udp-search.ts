import { type Clock, pause } from '../../common/platform/clock.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { classifyPorts, type PortPattern, portsBetween, portToAimAt } from '../nat/port-pattern.ts'
import { UdpPort } from '../nat/udp-port.ts'
import { askAroundUdp, sampleUdpPorts, type UdpSampleContext } from '../nat/udp-port-sample.ts'
import { AIMED_SOCKETS, entriesForSearch, portsInRandomOrder, SMALL_WINDOW } from './search-plan.ts'
import type { OutsideWindow } from './tcp-punch.ts'
import type { UdpMeeting } from './udp-meeting.ts'

/** Eight tell a block of ports from chance; three tell a sequence. */
const SAMPLES = 8
const AIM_SAMPLES = 3
/** Many routers forget a mapping without an answer after 30 s, some after 10. */
const REOPEN_MS = 5_000
/** A packet was lost, or the NAT began its range again just then. */
const SANDWICH_TRIES = 3
/** A single flow may be repeated more often: its packet may be the lost one. */
const SANDWICH_AGAIN_MS = 300
const SMALL_WINDOW_AGAIN_MS = 250
const AIM_AGAIN_MS = 150
/** A little more than one turn of a busy event loop. */
const FULL_AGAIN_MS = 200

export interface UdpSearchContext extends UdpSampleContext {
  readonly stunServers: readonly Endpoint[]
  readonly budgetEntries: number
}

/** What our NAT's ports follow, and its address; undefined when no server tells. */
export async function lookAtPorts(
  context: UdpSearchContext,
  samples = SAMPLES,
): Promise<{ readonly address: string; readonly pattern: PortPattern } | undefined> {
  const seen = await sampleUdpPorts(context.stunServers, samples, context)
  const pattern = seen && classifyPorts(seen.samples)
  return pattern && { address: seen.address, pattern }
}

/** The easy side: checks every port of the window, in random order, until one answers. */
export async function probeWindow(
  meeting: UdpMeeting,
  port: UdpPort,
  { address, window }: OutsideWindow,
  context: UdpSearchContext,
): Promise<void> {
  const { clock, random, budget, budgetEntries } = context
  const most = entriesForSearch(budgetEntries)
  do {
    for (const target of portsInRandomOrder(window, random)) {
      const remote = { address, port: target }
      while (!meeting.over.aborted) {
        // What is alive already, of earlier searches too, counts.
        const full = budget.report.entries >= most && window.count > SMALL_WINDOW
        const verdict = full ? 'full' : meeting.check(port, remote)
        if (verdict === 'send') break
        await pause(clock, verdict === 'wait' ? budget.waitMs : FULL_AGAIN_MS, meeting.over)
      }
      if (meeting.over.aborted) return
    }
    await pause(clock, SMALL_WINDOW_AGAIN_MS, meeting.over)
  } while (window.count <= SMALL_WINDOW && !meeting.over.aborted)
}

/** The hard side with a NAT that counts: one flow between two questions, whose port is told by what the servers saw. */
export async function openInUdpSandwich(
  meeting: UdpMeeting,
  remote: Endpoint,
  context: UdpSearchContext,
): Promise<OutsideWindow | undefined> {
  for (let tries = 0; tries < SANDWICH_TRIES && !meeting.over.aborted; tries++) {
    const port = await UdpPort.open({ family: 4 })
    meeting.add(port)
    await pause(context.clock, context.budget.waitMs, meeting.over)
    let sent = false
    const seen = await askAroundUdp(context.stunServers, 2, context, () => {
      sent = meeting.check(port, remote) === 'send'
    })
    const [before, after] = seen?.samples ?? []
    const window = before && after && portsBetween(before, after, port.local.port)
    if (!seen || !window || !sent) continue
    keepOpen(meeting, [port], remote, SANDWICH_AGAIN_MS, context)
    return { address: seen.address, window }
  }
  return undefined
}

/** The hard side with a NAT that draws: many flows. Resolves when half of them are under way. */
export async function openMany(
  meeting: UdpMeeting,
  remote: Endpoint,
  sockets: number,
  context: UdpSearchContext,
): Promise<void> {
  const ports = await openPorts(meeting, sockets)
  await sendFrom(meeting, ports.slice(0, sockets / 2), remote, context)
  void sendFrom(meeting, ports.slice(sockets / 2), remote, context).then(() => {
    keepOpen(meeting, ports, remote, REOPEN_MS, context)
  })
}

/** Flows of one of two sides that count their ports; `target` is what the other side's next flows should come to. */
export async function prepareAim(context: UdpSearchContext): Promise<Endpoint | undefined> {
  const seen = await lookAtPorts(context, AIM_SAMPLES)
  const port = seen && portToAimAt(seen.pattern, AIMED_SOCKETS)
  return port === undefined ? undefined : { address: seen?.address ?? '', port }
}

export async function aimAt(meeting: UdpMeeting, target: Endpoint, context: UdpSearchContext): Promise<void> {
  const ports = await openPorts(meeting, AIMED_SOCKETS)
  await sendFrom(meeting, ports, target, context)
  keepOpen(meeting, ports, target, AIM_AGAIN_MS, context)
}

/** One by one, so that each is the meeting's to close when the system gives no more. */
async function openPorts(meeting: UdpMeeting, count: number): Promise<readonly UdpPort[]> {
  const ports: UdpPort[] = []
  while (ports.length < count && !meeting.over.aborted) {
    const port = await UdpPort.open({ family: 4 })
    meeting.add(port)
    ports.push(port)
  }
  return ports
}

async function sendFrom(
  meeting: UdpMeeting,
  ports: readonly UdpPort[],
  remote: Endpoint,
  { clock, budget }: { readonly clock: Clock; readonly budget: UdpSearchContext['budget'] },
): Promise<void> {
  for (const port of ports) {
    for (;;) {
      if (meeting.over.aborted) return
      const verdict = meeting.check(port, remote)
      if (verdict === 'send') break
      await pause(clock, verdict === 'wait' ? budget.waitMs : FULL_AGAIN_MS, meeting.over)
    }
  }
}

/** Sends again and again, as the router forgets; ends with the meeting. */
function keepOpen(
  meeting: UdpMeeting,
  ports: readonly UdpPort[],
  remote: Endpoint,
  everyMs: number,
  context: UdpSearchContext,
): void {
  const again = async () => {
    while (await pause(context.clock, everyMs, meeting.over)) await sendFrom(meeting, ports, remote, context)
  }
  void again()
}
