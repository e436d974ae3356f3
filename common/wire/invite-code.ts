import { createHash } from 'node:crypto'
import { CulvertError } from '../errors.ts'
import { base32Decode, base32Encode, isBase32 } from './base32.ts'
import { ByteReader, ByteWriter, sameBytes } from './bytes.ts'
import type { Endpoint } from './endpoint.ts'
import { MAX_ENDPOINT_BYTES, readEndpoint, writeEndpoint } from './endpoint-bytes.ts'
import { PEER_ID_BYTES, type PeerId, peerIdFromBytes, peerIdToBytes } from './peer-id.ts'

/** Not a letter of base32 at its end, so that the text after it begins where it says. */
export const INVITE_PREFIX = 'culvert1'
const VERSION = 1
export const INVITE_SECRET_BYTES = 16
const SUM_BYTES = 4
/** A code is read aloud, typed or scanned: each relay makes it longer by some eighty characters. */
export const MAX_INVITE_RELAYS = 3
export const MAX_INVITE_ENDPOINTS = 4
const MAX_URL_BYTES = 200
const FIXED_BYTES = 1 + PEER_ID_BYTES + PEER_ID_BYTES + INVITE_SECRET_BYTES + 4 + 1 + 1
const MAX_BYTES =
  FIXED_BYTES +
  MAX_INVITE_RELAYS * (2 + MAX_URL_BYTES + PEER_ID_BYTES) +
  MAX_INVITE_ENDPOINTS * MAX_ENDPOINT_BYTES +
  SUM_BYTES
/** With room for the line breaks of a mail. */
const MAX_CHARS = 2 * Math.ceil((MAX_BYTES * 8) / 5)

const HAS_ID = 1
const IS_SECURE = 2

export interface InviteRelay {
  readonly url: string
  readonly id?: PeerId
}

/** What one line tells a device that is to come in: who lets it in, how to reach them, and the secret to prove. */
export interface InviteCode {
  /** The network's root key. */
  readonly network: PeerId
  readonly inviter: PeerId
  readonly secret: Uint8Array
  /** Seconds since 1970. */
  readonly expiresAt: number
  readonly relays: readonly InviteRelay[]
  /** Where the inviter's TCP port was on its local networks. */
  readonly endpoints: readonly Endpoint[]
}

/**
 * Layout: version u8; network (32); inviter (32); secret (16); expiry u32, s since 1970; relays u8 count, each flags u8
 * (bit 0 an id follows, bit 1 https), length u8 and URL without its scheme, id (32) where flagged; endpoints u8 count;
 * the first four bytes of SHA-256 over a label and all before. In base32 behind the prefix.
 */
export function encodeInvite(invite: InviteCode): string {
  const body = writeBody(invite)
  return INVITE_PREFIX + base32Encode(Buffer.concat([body, sumOf(body)]))
}

/**
 * Reads a code as it was pasted or typed: in any case, broken into lines. What is no code at all is the error `usage`, one
 * that does not hold together `invite-refused`, and one of a later version `version-unsupported`.
 */
export function decodeInvite(text: string): InviteCode {
  if (text.length > MAX_CHARS) throw noCode(text)
  const plain = text.replace(/[\s-]+/g, '').toLowerCase()
  if (!plain.startsWith(INVITE_PREFIX)) {
    if (/^culvert[0-9]/.test(plain)) throw newer()
    throw noCode(text)
  }
  const letters = plain.slice(INVITE_PREFIX.length)
  if (!isBase32(letters)) throw damaged()
  const bytes = base32Decode(letters)
  const body = bytes.subarray(0, -SUM_BYTES)
  if (bytes.length <= SUM_BYTES || !sameBytes(sumOf(body), bytes.subarray(-SUM_BYTES))) throw damaged()
  if (body[0] !== VERSION) throw newer()
  try {
    return readInviteBody(body)
  } catch (cause) {
    throw new CulvertError('invite-refused', 'this join code says nothing that this version understands', { cause })
  }
}

/** What is in a code whose check sum fits; throws `wire-malformed`. */
export function readInviteBody(body: Uint8Array): InviteCode {
  const reader = new ByteReader(body)
  reader.u8()
  const network = peerIdFromBytes(reader.bytes(PEER_ID_BYTES))
  const inviter = peerIdFromBytes(reader.bytes(PEER_ID_BYTES))
  const secret = reader.bytes(INVITE_SECRET_BYTES)
  const expiresAt = reader.u32()
  const relays = Array.from({ length: countOf(reader, MAX_INVITE_RELAYS) }, () => readRelay(reader))
  const endpoints = Array.from({ length: countOf(reader, MAX_INVITE_ENDPOINTS) }, () => readEndpoint(reader))
  return { network, inviter, secret, expiresAt, relays, endpoints }
}

function writeBody({ network, inviter, secret, expiresAt, relays, endpoints }: InviteCode): Buffer {
  const writer = new ByteWriter(MAX_BYTES)
    .u8(VERSION)
    .bytes(peerIdToBytes(network))
    .bytes(peerIdToBytes(inviter))
    .bytes(secret)
    .u32(expiresAt)
  const told = relays.filter(({ url }) => fits(url)).slice(0, MAX_INVITE_RELAYS)
  writer.u8(told.length)
  for (const { url, id } of told) {
    const { secure, rest } = partsOf(url)
    writer.u8((id ? HAS_ID : 0) | (secure ? IS_SECURE : 0))
    writer.u8(rest.length).bytes(Buffer.from(rest, 'latin1'))
    if (id) writer.bytes(peerIdToBytes(id))
  }
  const hints = endpoints.slice(0, MAX_INVITE_ENDPOINTS)
  writer.u8(hints.length)
  for (const endpoint of hints) writeEndpoint(writer, endpoint)
  return writer.finish()
}

function readRelay(reader: ByteReader): InviteRelay {
  const flags = reader.u8()
  const length = reader.u8()
  const rest = Buffer.from(reader.bytes(length)).toString('latin1')
  const url = `${(flags & IS_SECURE) === 0 ? 'http' : 'https'}://${rest}`
  if (length > MAX_URL_BYTES || !/^[\x21-\x7e]+$/.test(rest) || !URL.canParse(url)) {
    throw new CulvertError('wire-malformed', 'a relay without a URL')
  }
  return (flags & HAS_ID) === 0 ? { url } : { url, id: peerIdFromBytes(reader.bytes(PEER_ID_BYTES)) }
}

function countOf(reader: ByteReader, most: number): number {
  const count = reader.u8()
  if (count > most) throw new CulvertError('wire-malformed', `${count} where there are ${most} at most`)
  return count
}

function fits(url: string): boolean {
  const { rest } = partsOf(url)
  return rest.length > 0 && rest.length <= MAX_URL_BYTES
}

/** The URL parser writes every host in ASCII. */
function partsOf(url: string): { readonly secure: boolean; readonly rest: string } {
  const { protocol, host, pathname } = new URL(url)
  return { secure: protocol === 'https:' || protocol === 'wss:', rest: `${host}${pathname}`.replace(/\/$/, '') }
}

function sumOf(body: Uint8Array): Uint8Array {
  return createHash('sha256').update('culvert/1 invite').update(body).digest().subarray(0, SUM_BYTES)
}

function noCode(text: string): CulvertError {
  const shown = JSON.stringify(text.slice(0, 40))
  return new CulvertError('usage', `${shown} is no join code; it begins with ${INVITE_PREFIX}, see "culvert invite"`)
}

function damaged(): CulvertError {
  const remedy = 'copy all of it, or scan it once more'
  return new CulvertError('invite-refused', `the join code is damaged: its check sum does not fit; ${remedy}`)
}

function newer(): CulvertError {
  const message = 'the join code is of a newer version of culvert; update culvert on this machine'
  return new CulvertError('version-unsupported', message)
}
