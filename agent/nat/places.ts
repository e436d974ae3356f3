import { createHash } from 'node:crypto'
import { MAX_PLACES } from '../../common/wire/address-record.ts'
import type { DefaultGateway } from './default-gateway.ts'
import { hardwareAddress } from './network-fingerprint.ts'

/**
 * Names for the networks that we are in, by their routers: the same on every machine there. Two bytes are enough to see
 * that somebody is near, and too few to say which router of millions it is. None for a router that the kernel has not heard.
 */
export function placesOf(gateways: readonly DefaultGateway[], arpTable: string): readonly number[] {
  const places = gateways.flatMap(({ address }) => {
    const hardware = hardwareAddress(arpTable, address)
    if (hardware === '') return []
    return [createHash('sha256').update(`culvert place\n${address} ${hardware}`).digest().readUInt16BE(0)]
  })
  return [...new Set(places)].toSorted((a, b) => a - b).slice(0, MAX_PLACES)
}
