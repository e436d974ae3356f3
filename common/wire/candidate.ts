import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { MAX_ENDPOINT_BYTES, readAnyEndpoint, writeEndpoint } from './endpoint-bytes.ts'

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
 * Layout, per candidate: kind u8 (0 tcp, 1 udp), how u8 (0 lan, 1 public, 2 ipv6, 3 mapped, 4 punched), endpoint. A
 * count u8 stands before them.
 */
export function encodeCandidates(candidates: readonly Candidate[]): Uint8Array {
  const writer = new ByteWriter(1 + MAX_CANDIDATES * (2 + MAX_ENDPOINT_BYTES))
  const sent = candidates.slice(0, MAX_CANDIDATES)
  writer.u8(sent.length)
  for (const { kind, how, endpoint } of sent) {
    writer.u8(KINDS.indexOf(kind)).u8(HOWS.indexOf(how))
    writeEndpoint(writer, endpoint)
  }
  return writer.finish()
}

/** Candidates of a kind or origin that we do not know yet are skipped; anything malformed throws `wire-malformed`. */
export function decodeCandidates(bytes: Uint8Array): readonly Candidate[] {
  return readCandidates(new ByteReader(bytes))
}

/** As `decodeCandidates`, where more than them is read. */
export function readCandidates(reader: ByteReader): readonly Candidate[] {
  const count = reader.u8()
  if (count > MAX_CANDIDATES) throw new CulvertError('wire-malformed', `${count} candidates; at most ${MAX_CANDIDATES}`)
  const candidates: Candidate[] = []
  for (let i = 0; i < count; i++) {
    const kind = KINDS[reader.u8()]
    const how = HOWS[reader.u8()]
    const endpoint = readAnyEndpoint(reader)
    if (kind && how && endpoint.port > 0) candidates.push({ kind, how, endpoint })
  }
  return candidates
}

export function formatCandidate(candidate: Candidate): string {
  return `${candidate.kind}/${candidate.how} ${formatEndpoint(candidate.endpoint)}`
}
