import { fieldsOf, nothing, Program } from '../program.ts'
import type { Machine, Stage } from '../stage.ts'
import type { Carrier } from '../traffic.ts'

/** Two processes with nothing but node-datachannel, which make up the bytes and count them themselves. */
export async function startBareDatachannel(stage: Stage, nearAt: Machine, farAt: Machine): Promise<Carrier> {
  const stun = [stage.relayMachine.address, '3478']
  const [near, far] = await Promise.all([
    Program.start(nearAt, 'datachannel-end', stun),
    Program.start(farAt, 'datachannel-end', stun),
  ])
  const description = (answer: unknown) => {
    const { sdp, type } = fieldsOf(answer)
    return { sdp: String(sdp), type: String(type) }
  }
  const offer = await near.ask('describe', {}, description)
  const answer = await far.ask('describe', offer, description)
  await near.ask('answer', answer, nothing)
  await Promise.all([near.ask('open', {}, nothing), far.ask('open', {}, nothing)])
  return { near, far, start: {}, pids: [near.pid, far.pid] }
}
