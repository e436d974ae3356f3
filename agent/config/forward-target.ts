import type { Address } from './address.ts'
import { parsePeerService } from './name.ts'

/** `.internal` is reserved by ICANN for private use: no name in it ever leads anywhere else. */
export const NAME_SUFFIX = '.culvert.internal'
/** What a SOCKS5 listener is said to lead to. */
export const EVERY_SERVICE = `*${NAME_SUFFIX}`

/** What is wrong with where a forward leads, given where it listens; undefined when nothing is. */
export function forwardTargetFault(
  listen: Address,
  to: string | undefined,
): { readonly problem: string; readonly remedy: string } | undefined {
  if (listen.kind !== 'socks5') {
    if (to !== undefined && parsePeerService(to)) return undefined
    const problem = to === undefined ? 'is missing' : 'is no peer and service'
    return { problem, remedy: 'write "PEER/SERVICE", for example "laptop/ssh"' }
  }
  if (to === undefined) return undefined
  const problem = 'is one service, and a SOCKS5 listener leads to all'
  return { problem, remedy: `remove it: clients name SERVICE.PEER${NAME_SUFFIX}` }
}
