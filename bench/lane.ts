import type { LineOptions } from '../test/lab/lab-options.ts'
import { type JoinedPair, joinPair } from './pair.ts'
import { fieldsOf, nothing, type Program } from './program.ts'
import type { Stage } from './stage.ts'

/** Sites between which each kind of path is the best; a hard NAT leaves UDP where the other side lets anybody in. */
const PATHS = {
  public: { sites: ['none', 'none'], path: 'tcp' },
  tcp: { sites: ['eim-apdf', 'eim-apdf'], path: 'tcp' },
  udp: { sites: ['edm', 'eim-eif'], path: 'udp' },
  relay: { sites: ['edm', 'edm'], path: 'relay' },
} as const
export type PathKind = keyof typeof PATHS

const EVERY_MS = 10

/** A stream of small messages that come back, through something between `NAME-near` and its far site. */
export interface Lane {
  readonly name: string
  readonly near: Program
}

/** Sites for pairs of every kind, named `KIND-near` and `KIND-far`. */
export function laneSites(kinds: readonly PathKind[], line: LineOptions = {}) {
  return Object.fromEntries(
    kinds.flatMap(kind =>
      PATHS[kind].sites.map((site, i) => [`${kind}-${i === 0 ? 'near' : 'far'}`, { ...line, kind: site }] as const),
    ),
  )
}

export const pathOf = (kind: PathKind) => PATHS[kind].path

export function joinLane(stage: Stage, kind: PathKind): Promise<JoinedPair> {
  return joinPair(stage, [`${kind}-near`, `${kind}-far`], PATHS[kind])
}

/** A pair of agents over this kind of path, with a stream through it. */
export async function startLane(stage: Stage, kind: PathKind): Promise<Lane> {
  const { near, forwardPort } = await joinLane(stage, kind)
  await startPacing(near, { host: '127.0.0.1', port: forwardPort })
  return { name: kind, near }
}

export function startPacing(near: Program, target: Readonly<Record<string, unknown>>): Promise<void> {
  return near.ask('pace', { ...target, everyMs: EVERY_MS }, nothing)
}

export function look(near: Program, since: number) {
  return near.ask('look', { since }, answer => {
    const { first, longestGap } = fieldsOf(answer)
    return { first: first === null ? null : Number(first), longestGap: Number(longestGap) }
  })
}
