import { nothing, Program } from '../program.ts'
import type { Machine, Stage } from '../stage.ts'
import type { Carrier } from '../traffic.ts'

const PORT = 49_737

/** A network of hyperdht with its beginning on the relay's machine. */
export interface HyperdhtNetwork {
  /** A member with a server; its key. */
  readonly far: Program
  readonly key: string
  /** Starts another member on this machine. */
  join(machine: Machine): Promise<Program>
}

export async function startHyperdhtNetwork(stage: Stage, far: Machine): Promise<HyperdhtNetwork> {
  const { address } = stage.relayMachine
  await Program.start(stage.relayMachine, 'hyperdht-end', ['bootstrap', address, String(PORT)])
  const join = (machine: Machine) => Program.start(machine, 'hyperdht-end', ['member', address, String(PORT)])
  const farEnd = await join(far)
  return { far: farEnd, key: await farEnd.ask('listen', {}, String), join }
}

/** Two nodes with a direct stream between them, which make up the bytes and count them. */
export async function startHyperdht(stage: Stage, near: Machine, far: Machine): Promise<Carrier> {
  const network = await startHyperdhtNetwork(stage, far)
  const nearEnd = await network.join(near)
  await nearEnd.ask('open', { key: network.key }, nothing)
  await nearEnd.ask('echo', { count: 1 }, nothing)
  return { near: nearEnd, far: network.far, start: {}, pids: [nearEnd.pid, network.far.pid] }
}
