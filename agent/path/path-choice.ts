import type { PeerId } from '../../common/wire/peer-id.ts'
import type { PathHow, PathKind, PathTransport } from './path.ts'

/** What the choice between the paths of one session looks at. */
export interface PathView {
  readonly kind: PathKind
  readonly transport: PathTransport
  readonly how: PathHow
  /** The peer that carries it, where that is no relay. */
  readonly via?: PeerId | undefined
  /** Sealed bytes went both ways over it. */
  readonly ready: boolean
  /** Something sent on it has waited too long for an answer. */
  readonly suspect: boolean
  /** The same on both ends and different for each path: breaks ties so that both sides choose alike. */
  readonly tieBreaker: string
}

/** Cheaper per byte and faster first. Measured: TCP carries about ten times what the data channel does. */
const TRANSPORTS: readonly PathTransport[] = ['tcp', 'udx', 'datachannel', 'pipe']
const HOWS: readonly PathHow[] = ['lan', 'ipv6', 'public', 'mapped', 'punched', 'relay']

/** The path to send on, or undefined when none is ready. A suspect path is used only when all are suspect. */
export function choosePath<P extends PathView>(paths: readonly P[]): P | undefined {
  return paths.filter(path => path.ready).sort(comparePaths)[0]
}

/** Orders paths by worth, best first. */
export function comparePaths(a: PathView, b: PathView): number {
  return (
    Number(a.suspect) - Number(b.suspect) ||
    TRANSPORTS.indexOf(a.transport) - TRANSPORTS.indexOf(b.transport) ||
    HOWS.indexOf(a.how) - HOWS.indexOf(b.how) ||
    // A peer's line is not rented.
    Number(a.via === undefined) - Number(b.via === undefined) ||
    (a.tieBreaker < b.tieBreaker ? -1 : a.tieBreaker > b.tieBreaker ? 1 : 0)
  )
}

export function isDirect(path: { readonly kind: PathKind }): boolean {
  return path.kind !== 'relay'
}

/**
 * Of paths over UDX, which come in the order in which they were made, all but the newest: another one is made only when a
 * side misses answers on the last, and the other side may still hear it there and never notice.
 */
export function replacedPaths<P extends PathView>(paths: readonly P[]): readonly P[] {
  return paths.filter(path => path.ready && path.transport === 'udx').slice(0, -1)
}

/**
 * Paths that a better, sound one makes superfluous. A direct path makes all others so; a relay path only other relay
 * paths, since a direct one that is suspect now may recover.
 */
export function superfluousPaths<P extends PathView>(paths: readonly P[], best: P): readonly P[] {
  if (best.suspect) return []
  const lesser = paths.filter(path => path !== best && path.ready && comparePaths(best, path) < 0)
  return isDirect(best) ? lesser : lesser.filter(path => !isDirect(path))
}
