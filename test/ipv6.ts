import { networkInterfaces } from 'node:os'

/** Whether this machine has IPv6 at all: containers and some build servers have not even its loopback. */
export function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))
}
