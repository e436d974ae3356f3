import { joinAt, type PlaceName } from './places.ts'
import { fieldsOf, nothing, type Program } from './program.ts'
import type { Silence } from './programs/paced-stream.ts'
import type { Stage } from './stage.ts'

const EVERY_MS = 10

/** A stream of small messages that come back, through something between `NAME-near` and its far site. */
export interface Lane {
  readonly name: string
  readonly near: Program
}

/** A pair of agents with a stream through them. */
export async function startLane(stage: Stage, place: PlaceName): Promise<Lane> {
  const { near, forwardPort } = await joinAt(stage, place)
  await startPacing(near, { host: '127.0.0.1', port: forwardPort })
  return { name: place, near }
}

export function startPacing(near: Program, target: Readonly<Record<string, unknown>>): Promise<void> {
  return near.ask('pace', { ...target, everyMs: EVERY_MS }, nothing)
}

export function look(near: Program, since: number): Promise<Silence> {
  return near.ask('look', { since }, answer => {
    const { first, longestGap, until } = fieldsOf(answer)
    return { first: first === null ? null : Number(first), longestGap: Number(longestGap), until: Number(until) }
  })
}
