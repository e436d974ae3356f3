import { isIPv6 } from 'node:net'
import { addressToBytes } from './address-bytes.ts'
import { plainAddress } from './endpoint.ts'

/**
 * What counts as one address for limits: an IPv4 address, or an IPv6 /64, since a single home owns at least that much
 * (RFC 6177) and could else appear as 2^64 strangers.
 */
export function addressKey(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const withoutZone = plain.split('%')[0] ?? plain
  return `${Buffer.from(addressToBytes(withoutZone)).toString('hex', 0, 8)}::/64`
}

/** How many of something each address has, up to a limit. */
export class AddressCounts {
  readonly #counts = new Map<string, number>()

  /** False, and nothing counted, when this address already has `limit`. */
  add(key: string, limit: number): boolean {
    const count = this.#counts.get(key) ?? 0
    if (count >= limit) return false
    this.#counts.set(key, count + 1)
    return true
  }

  remove(key: string): void {
    const count = this.#counts.get(key) ?? 0
    if (count <= 1) this.#counts.delete(key)
    else this.#counts.set(key, count - 1)
  }
}
