import type { UdxStream } from '../../../common/platform/udx-stream.ts'
import type { DirectHow } from '../../../common/wire/candidate.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import type { UdpPort } from '../../nat/udp-port.ts'
import type { Path } from '../path.ts'
import type { Sealer } from '../seal.ts'

/** A pair of ports that answered, and our end of the UDX stream between them, connected. */
export interface UdxPair {
  readonly peer: PeerId
  readonly port: UdpPort
  readonly remote: Endpoint
  readonly stream: UdxStream
  readonly how: DirectHow
  readonly local: Endpoint
  readonly role: 'client' | 'server'
}

/** Seals the stream; the pair is a path then. Rejects as `Sealer.seal`, with the stream destroyed. */
export async function sealUdxPath(
  pair: UdxPair,
  context: { readonly sealer: Sealer; readonly signal: AbortSignal },
): Promise<Path> {
  const { peer, port, remote, stream: carrier, how, local, role } = pair
  // Whoever holds the sealed stream learns of the end by that.
  carrier.on('error', () => undefined)
  const { stream } = await context.sealer.seal(carrier, {
    role,
    expected: peer,
    accept: () => true,
    signal: context.signal,
  })
  const datagrams = port.datagramsWith(remote, () => carrier.packetBytes)
  stream.once('close', () => {
    datagrams.close()
    carrier.destroy()
  })
  const arrivedBytes = () => carrier.arrivedBytes
  return { kind: 'udp', transport: 'udx', how, local, remote, peer, stream, arrivedBytes, datagrams }
}
