import { fieldsOf, nothing, Program } from '../../bench/program.ts'
import type { Machine } from '../../bench/stage.ts'
import { pause } from '../../bench/traffic.ts'

const PORT = 9_444
const LOOK_MS = 10

/** Milliseconds that so many bytes take from one host to the other, over TLS over UDX alone, in a connection of their own. */
export async function bareUdxMs(sender: Machine, receiver: Machine, bytes: number): Promise<number> {
  const args = (side: string, other: Machine) => [side, String(PORT), other.address, String(PORT)]
  const [from, to] = await Promise.all([
    Program.start(sender, 'udx-end', args('near', receiver)),
    Program.start(receiver, 'udx-end', args('far', sender)),
  ])
  try {
    // The far end first: what comes for a stream that is not there yet is lost until it is sent again.
    await to.ask('open', {}, nothing)
    await from.ask('open', {}, nothing)
    await from.ask('echo', { count: 1 }, nothing)
    const received = () => to.ask('count', {}, answer => Number(fieldsOf(answer).bytes))
    const startedAt = performance.now()
    await from.ask('start', {}, nothing)
    while ((await received()) < bytes) await pause(LOOK_MS)
    return performance.now() - startedAt
  } finally {
    await Promise.all([from.process.stop(), to.process.stop()])
  }
}
