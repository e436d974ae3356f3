import { CulvertError } from '../errors.ts'
import { addressFromBytes, addressToBytes } from './address-bytes.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'

/** How a direct path is made; the words of `status`. */
export type DirectHow = 'lan' | 'public' | 'ipv6' | 'mapped' | 'punched'

/** An address at which a peer may be reached, with how it was learnt. */
export interface Candidate {
  readonly kind: 'tcp' | 'udp'
  readonly how: DirectHow
  readonly endpoint: Endpoint
}

/** A peer with more addresses than this is not one we dial in full. */
export const MAX_CANDIDATES = 32

const KINDS = ['tcp', 'udp'] as const
const HOWS = ['lan', 'public', 'ipv6', 'mapped', 'punched'] as const

/**
 * Layout, per candidate: kind u8 (0 tcp, 1 udp), how u8 (0 lan, 1 public, 2 ipv6, 3 mapped, 4 punched), family u8
 * (4 or 6), port u16, address (4 or 16 bytes). A count u8 stands before them.
 */
export function encodeCandidates(candidates: readonly Candidate[]): Uint8Array {
  const writer = new ByteWriter(1 + MAX_CANDIDATES * 21)
  const sent = candidates.slice(0, MAX_CANDIDATES)
  writer.u8(sent.length)
  for (const { kind, how, endpoint } of sent) {
    const address = addressToBytes(endpoint.address)
    writer.u8(KINDS.indexOf(kind))
    writer.u8(HOWS.indexOf(how))
    writer.u8(address.length === 4 ? 4 : 6)
    writer.u16(endpoint.port)
    writer.bytes(address)
  }
  return writer.finish()
}

/** Candidates of a kind or origin that we do not know yet are skipped; anything malformed throws `wire-malformed`. */
export function decodeCandidates(bytes: Uint8Array): readonly Candidate[] {
  const reader = new ByteReader(bytes)
  const count = reader.u8()
  if (count > MAX_CANDIDATES) throw new CulvertError('wire-malformed', `${count} candidates; at most ${MAX_CANDIDATES}`)
  const candidates: Candidate[] = []
  for (let i = 0; i < count; i++) {
    const kind = KINDS[reader.u8()]
    const how = HOWS[reader.u8()]
    const family = reader.u8()
    if (family !== 4 && family !== 6) throw new CulvertError('wire-malformed', `address family ${family}`)
    const port = reader.u16()
    const address = addressFromBytes(reader.bytes(family === 4 ? 4 : 16))
    if (kind && how && port > 0) candidates.push({ kind, how, endpoint: { address, port } })
  }
  return candidates
}

export function formatCandidate(candidate: Candidate): string {
  return `${candidate.kind}/${candidate.how} ${formatEndpoint(candidate.endpoint)}`
}
