/** Which peers are reached over each fixed port. Two muxed connections between the same two ports starve each other. */
const claims = new Map<number, Map<string, number>>()

export interface PortClaim {
  release(): void
}

/** Whether a connection with this peer on this port is open or being tried. */
export function isPortClaimed(port: number, peer: string): boolean {
  return claims.get(port)?.has(peer) ?? false
}

/** Notes one connection with a peer on a port; `release` counts once however often it is called. */
export function claimPort(port: number, peer: string): PortClaim {
  const peers = claims.get(port) ?? new Map<string, number>()
  claims.set(port, peers)
  peers.set(peer, (peers.get(peer) ?? 0) + 1)
  let released = false
  return {
    release() {
      if (released) return
      released = true
      const left = (peers.get(peer) ?? 1) - 1
      if (left > 0) peers.set(peer, left)
      else peers.delete(peer)
      if (peers.size === 0) claims.delete(port)
    },
  }
}

/**
 * Whether a new connection goes over the fixed port. A second one with the same peer (made before the first is broken
 * off) needs another pair of ports, so one end gives way: one that has no mapping to lose, else the answerer.
 */
export function mayUsePort(view: {
  readonly claimed: boolean
  readonly mapped: boolean
  readonly peerMapped: boolean
  readonly role: 'offerer' | 'answerer'
}): boolean {
  if (!view.claimed) return true
  return view.mapped && (view.role === 'offerer' || !view.peerMapped)
}
