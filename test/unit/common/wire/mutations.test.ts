import test from 'ava'
import { isKnockFor } from '../../../../agent/path/knock.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { openAddressRecord, signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import { verifyBytes } from '../../../../common/platform/ed25519.ts'
import { type AddressRecord, readAddressRecord } from '../../../../common/wire/address-record.ts'
import { decodeBenchRequest, decodeBenchResult } from '../../../../common/wire/bench-message.ts'
import { decodeCandidates, encodeCandidates } from '../../../../common/wire/candidate.ts'
import { decodeDatagram } from '../../../../common/wire/datagram.ts'
import { decodeDns } from '../../../../common/wire/dns-message.ts'
import { addressScope, formatEndpoint, parseEndpoint } from '../../../../common/wire/endpoint.ts'
import { readInviteBody } from '../../../../common/wire/invite-code.ts'
import { decodeJoinAnswer, decodeJoinRequest } from '../../../../common/wire/join-message.ts'
import { lanAnnouncementsOf, lanBinding, lanQuestionOf } from '../../../../common/wire/lan-announcement.ts'
import { decodeDetails, encodeDetails } from '../../../../common/wire/member-details.ts'
import { decodeStatement, encodeStatement } from '../../../../common/wire/member-statement.ts'
import { decodeChain, encodeChain } from '../../../../common/wire/membership.ts'
import { parsePeerId, peerIdToBytes } from '../../../../common/wire/peer-id.ts'
import { decodePipeHead } from '../../../../common/wire/peer-pipe.ts'
import { decodeProbe } from '../../../../common/wire/probe.ts'
import { decodePunch } from '../../../../common/wire/punch-signal.ts'
import { decodeAgentMessage, decodeRelayMessage } from '../../../../common/wire/relay-message.ts'
import {
  decodeCount,
  decodeCredit,
  decodeHello,
  decodeIce,
  decodeOpen,
  decodeReset,
  FRAME_HEADER_BYTES,
  FrameParser,
} from '../../../../common/wire/session-frame.ts'
import { decodeSituation, encodeSituation } from '../../../../common/wire/situation.ts'
import { decodeSync, encodeSync } from '../../../../common/wire/sync-message.ts'
import { CARRYING_RECORD_HEX, EMPTY_RECORD_HEX, RECORD_HEX } from '../../../vectors/address-records.ts'
import { BENCH_MESSAGES } from '../../../vectors/bench-messages.ts'
import { INVITE_HEX, JOIN_ADMITTED, JOIN_REFUSED, JOIN_REQUEST } from '../../../vectors/invites.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../vectors/keys.ts'
import { KNOCK } from '../../../vectors/knock.ts'
import { ANNOUNCEMENT, ANNOUNCEMENT_HEX, QUERY_HEX } from '../../../vectors/lan.ts'
import { ADMIN, DETAILS, DETAILS_HEX, MEMBER, REMOVED } from '../../../vectors/membership.ts'
import { PIPE_HEAD_HEX } from '../../../vectors/peer-pipes.ts'
import { PROBES } from '../../../vectors/probes.ts'
import { AGENT_MESSAGES, AGENT_PROOF, AGENT_SIGNATURE, RELAY_MESSAGES } from '../../../vectors/relay-messages.ts'
import { CANDIDATES_HEX, FRAMES } from '../../../vectors/session-frames.ts'
import { SYNC_MESSAGES } from '../../../vectors/sync-messages.ts'
import { liveBytes } from '../../collect-garbage.ts'
import { cutAtRandom, type Draw, mutateBytes, seededDraw } from '../../mutate.ts'

const SEED = 20_261
const MUTATIONS = 100_000
/** What one decoder may leave behind after all of its mutations. */
const MAX_LEFT_BYTES = 4 * 2 ** 20
/** The heap while it decodes, garbage and all. */
const MAX_HEAP_BYTES = 256 * 2 ** 20

// Nine in ten mutants end in an error, and nobody reads where it came from.
Error.stackTraceLimit = 0

/** Feeds mutants of the originals to a decoder: it may refuse them as malformed, and nothing else. */
function survives(
  name: string,
  originals: readonly Uint8Array[],
  decode: (mutant: Buffer, draw: Draw) => void,
  count = MUTATIONS,
): void {
  test.serial(`${name}: ${count} mutations are read or refused`, t => {
    const before = liveBytes()
    let refused = 0
    let heap = 0
    for (let i = 0; i < count; i++) {
      // A seed of its own for each, so that one that fails can be had again without the others.
      const draw = seededDraw(SEED + i)
      const original = originals[draw(originals.length)] ?? Buffer.alloc(0)
      const mutant = mutateBytes(original, draw)
      try {
        decode(mutant, draw)
      } catch (thrown) {
        if (!(thrown instanceof CulvertError) || thrown.code !== 'wire-malformed') {
          t.log(thrown)
          t.fail(`seed ${SEED + i}: ${mutant.toString('hex')}`)
          return
        }
        refused++
      }
      if (i % 1000 === 0) heap = Math.max(heap, process.memoryUsage().heapTotal)
    }
    const left = liveBytes() - before
    t.true(left < MAX_LEFT_BYTES, `${left} bytes left`)
    t.true(heap < MAX_HEAP_BYTES, `${heap} bytes of heap`)
    t.true(refused < count)
  })
}

const hexes = (rows: ReadonlyArray<{ readonly hex: string }>) => rows.map(({ hex }) => fromHex(hex))
const payloads = (...types: readonly string[]) =>
  FRAMES.filter(({ name }) => types.some(type => name.startsWith(type))).map(({ hex }) =>
    fromHex(hex).subarray(FRAME_HEADER_BYTES),
  )
const texts = (...all: readonly string[]) => all.map(text => Buffer.from(text))

survives("agent's messages", hexes(AGENT_MESSAGES), bytes => decodeAgentMessage(bytes))
survives("relay's messages", hexes(RELAY_MESSAGES), bytes => decodeRelayMessage(bytes))
survives('hello', payloads('hello'), bytes => decodeHello(bytes))
survives('resume and ack', payloads('resume', 'ack'), bytes => decodeCount(bytes))
survives('open', payloads('open'), bytes => decodeOpen(bytes))
survives('datagrams', payloads('datagram', 'part'), (payload, draw) => {
  const decoded = decodeDatagram({ type: 0x06, flags: draw(3), stream: 1, payload })
  if (!Buffer.isBuffer(decoded) && (decoded.index >= decoded.count || decoded.bytes.length === 0)) {
    throw new Error('a part that cannot be')
  }
})
survives('credit', payloads('credit'), bytes => decodeCredit(bytes))
survives('reset', payloads('reset'), bytes => decodeReset(bytes))
survives('ice', payloads('ice'), (payload, draw) => decodeIce({ type: 0x47, flags: draw(5), stream: 1, payload }))
survives('punch', payloads('punch'), (payload, draw) =>
  decodePunch({ type: 0x49, flags: draw(256), stream: 1, payload }),
)
survives('situation', payloads('situation'), bytes => {
  encodeSituation(decodeSituation(bytes))
})
survives('bench requests and results', hexes(BENCH_MESSAGES), bytes => {
  decodeBenchRequest(bytes)
  decodeBenchResult(bytes)
})
survives(
  'probes',
  PROBES.map(({ plain }) => fromHex(plain)),
  bytes => decodeProbe(bytes),
)
survives('candidates', [fromHex(CANDIDATES_HEX), fromHex('00')], bytes => {
  // What was taken must be fit for use.
  const candidates = decodeCandidates(bytes)
  encodeCandidates(candidates)
  for (const { endpoint } of candidates) addressScope(endpoint.address)
})
survives('requests to join', [fromHex(JOIN_REQUEST)], bytes => decodeJoinRequest(bytes))
survives('answers to them', [fromHex(JOIN_ADMITTED), fromHex(JOIN_REFUSED)], bytes => decodeJoinAnswer(bytes))
survives('invites', [fromHex(INVITE_HEX)], bytes => {
  for (const { url } of readInviteBody(bytes).relays) new URL(url)
})
survives(
  'entries of members',
  [encodeChain({ entry: MEMBER, signer: ADMIN }), encodeChain({ entry: REMOVED, signer: undefined })],
  bytes => {
    if (!encodeChain(decodeChain(bytes)).equals(bytes)) throw new Error('not what was read')
  },
  20_000,
)
survives(
  'statements about members',
  [encodeStatement({ entry: MEMBER, details: DETAILS }), encodeStatement({ entry: REMOVED, details: undefined })],
  bytes => {
    if (!encodeStatement(decodeStatement(bytes)).equals(bytes)) throw new Error('not what was read')
  },
  20_000,
)
survives(
  'exchanges of members',
  SYNC_MESSAGES.map(({ hex }) => fromHex(hex)),
  bytes => {
    const message = decodeSync(bytes)
    if (message) encodeSync(message)
  },
  20_000,
)
survives(
  'details of members',
  [fromHex(DETAILS_HEX)],
  bytes => {
    if (!encodeDetails(decodeDetails(bytes)).equals(bytes)) throw new Error('not what was read')
  },
  20_000,
)
survives('heads of pipes', [fromHex(PIPE_HEAD_HEX)], bytes => peerIdToBytes(decodePipeHead(bytes)))
const records = [RECORD_HEX, EMPTY_RECORD_HEX, CARRYING_RECORD_HEX].map(fromHex)
survives('address records', records, bytes => usable(readAddressRecord(bytes)))
survives(
  'signed address records',
  records,
  bytes => {
    openAddressRecord(bytes)
    if (!records.some(record => record.equals(bytes))) throw new Error('taken for a signed record')
  },
  5_000,
)
survives('what is said on a LAN', [fromHex(ANNOUNCEMENT_HEX), fromHex(QUERY_HEX)], bytes => {
  const message = decodeDns(bytes)
  lanQuestionOf(message, ANNOUNCEMENT)
  for (const { announcement } of lanAnnouncementsOf(message)) lanBinding(announcement)
})
survives('peer ids', texts(ALICE.id, BOB.id, RELAY.id), bytes => parsePeerId(bytes.toString('utf8')))
survives(
  'endpoints',
  texts('192.0.2.1:80', '[2001:db8::42]:65535', '[::ffff:192.0.2.1]:1', '[1:2:3:4:5:6:7:8]:443'),
  bytes => {
    const endpoint = parseEndpoint(bytes.toString('latin1'))
    if (endpoint && !parseEndpoint(formatEndpoint(endpoint))) throw new Error('not read back')
  },
)
survives('knocks', [KNOCK], bytes => {
  if (isKnockFor(BOB.id, bytes) !== KNOCK.equals(bytes)) throw new Error('taken for a knock')
})
survives(
  'signatures',
  [fromHex(AGENT_SIGNATURE)],
  signature => {
    const valid = verifyBytes(ALICE.id, fromHex(AGENT_PROOF), signature)
    if (valid !== signature.equals(fromHex(AGENT_SIGNATURE))) throw new Error('taken for a signature')
  },
  5_000,
)

const whole = Buffer.concat(hexes(FRAMES))
survives('streams of frames', [whole, whole.subarray(0, 200)], (bytes, draw) => {
  let payloadBytes = 0
  let frames = 0
  const parser = new FrameParser(frame => {
    frames++
    payloadBytes += frame.payload.length
  })
  for (const piece of cutAtRandom(bytes, draw)) parser.push(piece)
  if (payloadBytes + frames * FRAME_HEADER_BYTES > bytes.length) throw new Error('more came out than went in')
})

/** What was taken must be fit for use. */
function usable(record: AddressRecord): void {
  signAddressRecord(record, ALICE)
  for (const { url, address } of record.relays) addressScope(address ?? new URL(url).hostname)
  for (const { endpoint } of record.candidates) addressScope(endpoint.address)
}
