import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { type KeyPair, signBytes } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import { isProven } from '../../common/platform/membership-proof.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { InviteCode } from '../../common/wire/invite-code.ts'
import {
  decodeJoinAnswer,
  encodeJoinRequest,
  joinProof,
  MAX_JOIN_ANSWER_BYTES,
} from '../../common/wire/join-message.ts'
import { decodeStatement, type Statement } from '../../common/wire/member-statement.ts'
import { isByRoot } from '../../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { relayAddresses } from '../rendezvous/relay-addresses.ts'
import { guestOf } from './guest-key.ts'
import { refusalError } from './join-desk.ts'
import { formatDate } from './join-errors.ts'
import { type JoinLine, joinExporter, readMessage, sendMessage } from './join-stream.ts'
import { reachInviter } from './reach-inviter.ts'

/** Time for a relay's answer after a lost packet or two, twice; somebody sits before it. */
const REACH_MS = 20_000

export interface JoinOptions {
  readonly code: InviteCode
  readonly identity: KeyPair
  /** What this device would like to be called. */
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly software: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly addresses: () => readonly string[]
  /** Looks for the inviter on the local network. */
  readonly seek?: (found: (endpoint: Endpoint) => void, signal: AbortSignal) => void
  /** How long to look for the inviter. */
  readonly limitMs?: number
  readonly signal: AbortSignal
}

/** What makes this device a member: proven, and to be kept before anything else is done with it. */
export interface JoinedNetwork {
  readonly network: PeerId
  readonly secret: Uint8Array
  /** The own one first. */
  readonly statements: readonly Statement[]
}

/** Throws `invite-refused` for a code that this machine's clock says is over. A clock that is not set says nothing. */
export function refuseExpired({ expiresAt }: InviteCode, clock: Pick<Clock, 'wallNow'>): void {
  const now = Math.floor(clock.wallNow() / 1000)
  if (now < expiresAt) return
  const words = `this join code has expired on ${formatDate(expiresAt)} (it is ${formatDate(now)} by this machine's clock)`
  throw new CulvertError('invite-refused', `${words}; ask for a new one`)
}

/**
 * Reaches the inviter as its guest, proves the own identity, and resolves with what it answers once that is proven. Errors:
 * `invite-refused` with why, only when the inviter itself says so in a sealed answer, or the code is over by our clock;
 * `not-authorized` when it seems not to know the code, which also a relay can say, or who cuts the connection; `busy` when
 * it cannot just now; and with other codes why it was not reached.
 */
export async function joinNetwork(options: JoinOptions): Promise<JoinedNetwork> {
  const { code, env, clock, random, log, software, addresses, seek, signal } = options
  refuseExpired(code, clock)
  const guest = guestOf(code.secret)
  const relays = relayAddresses(
    code.relays.map(({ url, id }) => ({ url, id })),
    env,
  )
  const common = { clock, random, log, software, addresses, signal, ...(seek ? { seek } : {}) }
  try {
    return await reachInviter(
      {
        ...common,
        guest,
        inviter: code.inviter,
        relays,
        endpoints: code.endpoints,
        limitMs: options.limitMs ?? REACH_MS,
      },
      line => ask(line, guest, options),
    )
  } catch (thrown) {
    throw inWords(thrown, code)
  }
}

async function ask({ stream }: JoinLine, guest: KeyPair, options: JoinOptions): Promise<JoinedNetwork> {
  const { code, identity, name, clock, signal } = options
  const { network, inviter } = code
  const peer = identity.id
  const exporter = joinExporter(stream)
  const signature = signBytes(identity, joinProof({ network, inviter, guest: guest.id, peer, exporter }))
  sendMessage(stream, encodeJoinRequest({ peer, name, signature }))
  const answer = decodeJoinAnswer(await readMessage(stream, MAX_JOIN_ANSWER_BYTES, { clock, signal }).catch(unanswered))
  if (!answer.admitted) throw refusalError(answer.refusal, answer.words)
  const statements = answer.statements.map(bytes => decodeStatement(bytes))
  // With one that was removed and is back comes its removal, too.
  const lives = statements.filter(({ entry }) => entry.peer === peer && !entry.removed)
  const own = lives.toSorted((a, b) => b.entry.version - a.entry.version)[0]
  if (!own || !isProvenBy(statements, own, network)) {
    throw new CulvertError('wire-malformed', 'the answer of the inviter does not make this device a member')
  }
  return { network, secret: answer.secret, statements: [own, ...statements.filter(other => other !== own)] }
}

/** In TLS 1.3 a client's handshake is over before the server has judged it: to a key that it does not know, it just closes. */
function unanswered(thrown: unknown): never {
  const closed = thrown instanceof CulvertError && thrown.code === 'peer-unreachable'
  throw closed ? new CulvertError('not-authorized', 'the inviter closed the connection', { cause: thrown }) : thrown
}

/** True when the root signed it, or somebody whom the root gave that right by another of the statements. */
function isProvenBy(statements: readonly Statement[], { entry }: Statement, network: PeerId): boolean {
  if (isByRoot(entry)) return isProven({ entry, signer: undefined }, network)
  return statements.some(({ entry: signer }) => signer.peer === entry.signer && isProven({ entry, signer }, network))
}

function inWords(thrown: unknown, { inviter, expiresAt }: InviteCode): unknown {
  if (!(thrown instanceof CulvertError)) return thrown
  const who = shortPeerId(inviter)
  switch (thrown.code) {
    case 'peer-refused':
    case 'not-authorized':
      return new CulvertError(
        'not-authorized',
        `${who} does not know this join code: it is not the one that "culvert invite" printed there, or long over; ask for a new one`,
        { cause: thrown },
      )
    case 'invite-refused':
    case 'busy':
    case 'aborted':
    case 'wire-malformed':
      return thrown
    default: {
      const until = `the join code is good until ${formatDate(expiresAt)}`
      const message = `the device that invites (${who}) was not reached: ${thrown.message}; is its agent running? Try again: ${until}`
      const code = thrown.code === 'peer-offline' ? 'peer-offline' : 'peer-unreachable'
      return new CulvertError(code, message, { cause: thrown })
    }
  }
}
