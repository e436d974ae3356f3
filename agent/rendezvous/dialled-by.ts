import type { AddressRecord } from '../../common/wire/address-record.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { KnownAddress } from './address-source.ts'

const MAX_DIALLED = 8

/**
 * The addresses of a record that we dial. It may come from afar, and could have us knock at doors of our own network: its
 * private addresses count only where it says that it was made in a place where we are. Loopback never does.
 */
export function dialledBy(
  record: AddressRecord,
  places: readonly number[],
): readonly Pick<KnownAddress, 'how' | 'endpoint'>[] {
  const near = isNear(record, places)
  return record.candidates
    .flatMap(({ kind, how, endpoint }) => {
      return kind === 'tcp' && how !== 'punched' && mayDial(endpoint.address, near) ? [{ how, endpoint }] : []
    })
    .slice(0, MAX_DIALLED)
}

export function isNear(record: AddressRecord, places: readonly number[]): boolean {
  return record.places.some(place => places.includes(place))
}

/** `near`: who names the address is where we are. */
export function mayDial(address: Endpoint['address'], near: boolean): boolean {
  const scope = addressScope(address)
  return scope === 'public' || (near && (scope === 'private' || scope === 'carrier'))
}
