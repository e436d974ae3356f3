import { isName } from '../../common/wire/name.ts'
import { NAME_SUFFIX } from '../config/forward-target.ts'
import { isPeerText, type PeerService } from '../config/name.ts'

/**
 * What `SERVICE.PEER.culvert.internal` stands for, in any case, since browsers write names small; undefined when it is no
 * such name or there is no such peer. Both parts may have dots: the longest name of a peer that fits is the peer.
 */
export function resolveServiceName(host: string, peerNames: readonly string[]): PeerService | undefined {
  const whole = host.replace(/\.$/, '')
  if (!whole.toLowerCase().endsWith(NAME_SUFFIX)) return undefined
  const parts = whole.slice(0, -NAME_SUFFIX.length)
  const exact = [...peerNames].sort((a, b) => b.length - a.length)
  for (const fits of [
    (a: string, b: string) => a === b,
    (a: string, b: string) => a.toLowerCase() === b.toLowerCase(),
  ]) {
    const peer = exact.find(name => fits(parts.slice(-name.length - 1), `.${name}`))
    if (peer !== undefined) return named(peer, parts.slice(0, -peer.length - 1))
  }
  const at = parts.lastIndexOf('.')
  const id = parts.slice(at + 1).toLowerCase()
  return id.length === 52 && isPeerText(id) ? named(id, parts.slice(0, at)) : undefined
}

function named(peer: string, service: string): PeerService | undefined {
  return isName(service) ? { peer, service } : undefined
}
