import { join } from 'node:path'
import type { LineOptions, SiteOptions } from '../test/lab/lab-options.ts'
import type { SiteKind } from '../test/lab/site-kind.ts'
import { type JoinedPair, joinPair } from './pair.ts'
import type { AgentOptions, PathWish, Stage } from './stage.ts'

interface Place {
  /** Of the near agent and of the far one. */
  readonly sites: readonly [SiteKind, SiteKind]
  readonly path: PathWish
  readonly agent?: AgentOptions
  /** No TCP between the two but on the ports of the web, where the relay listens. */
  readonly withoutTcp?: true
}

/** An agent of a machine for which udx-native has no build. */
export const WITHOUT_UDX: AgentOptions = {
  nodeOptions: ['--require', join(import.meta.dirname, 'programs/without-udx.cjs')],
}

/** Where two agents stand, by the path that they then have. A hard NAT leaves UDP where the other lets anybody in. */
const PLACES = {
  /** Without any NAT. */
  public: { sites: ['none', 'none'], path: 'direct' },
  /** Through two home routers, where TCP is the best of several ways. */
  tcp: { sites: ['eim-apdf', 'eim-apdf'], path: 'tcp' },
  'tcp-only': { sites: ['udp-blocked', 'none'], path: 'tcp' },
  udp: { sites: ['edm', 'eim-eif'], path: 'udp' },
  'public-udp': { sites: ['none', 'none'], path: 'udp', withoutTcp: true },
  datachannel: { sites: ['edm', 'eim-eif'], path: 'udp', agent: WITHOUT_UDX },
  relay: { sites: ['edm', 'edm'], path: 'relay' },
} as const satisfies Readonly<Record<string, Place>>

export type PlaceName = keyof typeof PLACES

export const pathAt = (place: PlaceName): PathWish => PLACES[place].path

/** The names of the two sites of a place. */
export function siteNames(place: PlaceName): readonly [string, string] {
  return [`${place}-near`, `${place}-far`]
}

/** The sites of these places, all with such an outside line. */
export function sitesOf(places: readonly PlaceName[], line: LineOptions = {}): Readonly<Record<string, SiteOptions>> {
  return Object.fromEntries(
    places.flatMap(place => {
      const [near, far] = PLACES[place].sites
      const names = siteNames(place)
      return [[names[0], { ...line, kind: near }] as const, [names[1], { ...line, kind: far }] as const]
    }),
  )
}

export async function joinAt(stage: Stage, place: PlaceName): Promise<JoinedPair> {
  const { path, agent = {}, withoutTcp }: Place = PLACES[place]
  if (withoutTcp) await stage.lab?.site(siteNames(place)[0]).blockTcp()
  return joinPair(stage, siteNames(place), { path, near: agent, far: agent })
}
