import test from 'ava'
import fc from 'fast-check'
import { CulvertError } from '../../../../common/errors.ts'
import { addressFromBytes } from '../../../../common/wire/address-bytes.ts'
import {
  type Candidate,
  decodeCandidates,
  encodeCandidates,
  formatCandidate,
  MAX_CANDIDATES,
} from '../../../../common/wire/candidate.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { CANDIDATES, CANDIDATES_HEX } from '../../../vectors/session-frames.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const
const address = fc.oneof(
  fc.ipV4(),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => addressFromBytes(bytes)),
)
const candidate: fc.Arbitrary<Candidate> = fc.record({
  kind: fc.constantFrom('tcp', 'udp'),
  how: fc.constantFrom('lan', 'public', 'ipv6', 'mapped', 'punched'),
  endpoint: fc.record({ address, port: fc.integer({ min: 1, max: 65535 }) }),
})

test('candidates are written as their vector, and read from it', t => {
  t.deepEqual(Buffer.from(encodeCandidates(CANDIDATES)), fromHex(CANDIDATES_HEX))
  t.deepEqual(decodeCandidates(fromHex(CANDIDATES_HEX)), CANDIDATES)
})

test('any candidates come back as they were sent; of more than 32, the first 32', t => {
  fc.assert(
    fc.property(fc.array(candidate, { maxLength: 40 }), sent => {
      t.deepEqual(decodeCandidates(encodeCandidates(sent)), sent.slice(0, MAX_CANDIDATES))
    }),
    { seed: 1 },
  )
})

test('kinds and origins that we do not know, and port 0, are passed over', t => {
  const good = '0000040fa1c0a80114'
  for (const odd of ['0200040fa1c0a80114', '0005040fa1c0a80114', '0000040000c0a80114']) {
    t.deepEqual(decodeCandidates(fromHex(`02 ${odd} ${good}`)), CANDIDATES.slice(0, 1))
  }
})

test('an address family that we do not know, too many, and too few bytes are malformed', t => {
  t.throws(() => decodeCandidates(fromHex('01 0000050fa1c0a80114')), malformed)
  t.throws(() => decodeCandidates(Buffer.concat([Buffer.of(33), Buffer.alloc(33 * 21, 4)])), malformed)
  const whole = fromHex(CANDIDATES_HEX)
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => decodeCandidates(whole.subarray(0, length)), malformed)
  }
})

test('a candidate is shown with how it is reached', t => {
  t.deepEqual(CANDIDATES.map(formatCandidate), [
    'tcp/lan 192.168.1.20:4001',
    'udp/mapped 203.0.113.9:65535',
    'tcp/ipv6 [2001:db8::42]:443',
  ])
})
