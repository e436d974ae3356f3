import type { Ends } from '../ends.ts'
import { through } from '../ends.ts'
import { nothing, Program } from '../program.ts'
import type { Machine, Stage } from '../stage.ts'
import type { Carrier } from '../traffic.ts'

/** Two bare Node processes with TLS 1.3 over UDX between public addresses, which make up the bytes and count them. */
export async function startBareUdx(stage: Stage, near: Machine, far: Machine): Promise<Carrier> {
  const [nearEnd, farEnd] = await startBoth(stage, near, far, 'udx-end')
  // The handshakes are over when an echo came back.
  await nearEnd.ask('echo', { count: 1 }, nothing)
  return { near: nearEnd, far: farEnd, start: {}, pids: [nearEnd.pid, farEnd.pid] }
}

/** The same with a local TCP connection at either end, as the agents have it: net, TLS 1.3 over UDX, net. */
export async function startUdxWithHops(ends: Ends): Promise<Carrier> {
  const { stage, near, far, servicePort } = ends
  const localPort = await stage.freePort()
  const local = { near: localPort, far: servicePort }
  const [nearEnd, farEnd] = await startBoth(stage, near.machine, far.machine, 'udx-hops-end', local)
  return through(ends, { host: '127.0.0.1', port: localPort }, [nearEnd.pid, farEnd.pid])
}

async function startBoth(
  stage: Stage,
  near: Machine,
  far: Machine,
  program: string,
  local?: { readonly near: number; readonly far: number },
): Promise<readonly [near: Program, far: Program]> {
  const [nearPort, farPort] = [await stage.freePort(), await stage.freePort()]
  const args = (side: 'near' | 'far', own: number, { address }: Machine, other: number) => [
    ...[side, String(own), address, String(other)],
    ...(local ? [String(local[side])] : []),
  ]
  const ends = await Promise.all([
    Program.start(near, program, args('near', nearPort, far, farPort)),
    Program.start(far, program, args('far', farPort, near, nearPort)),
  ])
  const [nearEnd, farEnd] = ends
  await farEnd.ask('open', {}, nothing)
  await nearEnd.ask('open', {}, nothing)
  return ends
}
