import { nothing, Program } from '../program.ts'
import type { Machine, Stage } from '../stage.ts'
import type { Carrier } from '../traffic.ts'

/** Two bare Node processes with TLS 1.3 over UDX between public addresses, which make up the bytes and count them. */
export async function startBareUdx(stage: Stage, near: Machine, far: Machine): Promise<Carrier> {
  const [nearPort, farPort] = [await stage.freePort(), await stage.freePort()]
  const [nearEnd, farEnd] = await Promise.all([
    Program.start(near, 'udx-end', ['near', String(nearPort), far.address, String(farPort)]),
    Program.start(far, 'udx-end', ['far', String(farPort), near.address, String(nearPort)]),
  ])
  await farEnd.ask('open', {}, nothing)
  await nearEnd.ask('open', {}, nothing)
  // The handshakes are over when an echo came back.
  await nearEnd.ask('echo', { count: 1 }, nothing)
  return { near: nearEnd, far: farEnd, start: {}, pids: [nearEnd.pid, farEnd.pid] }
}
