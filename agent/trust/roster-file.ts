import { createHmac } from 'node:crypto'
import { CulvertError } from '../../common/errors.ts'
import {
  decodeStatement,
  encodeStatement,
  MAX_STATEMENT_BYTES,
  type Statement,
} from '../../common/wire/member-statement.ts'
import { type Kept, keep } from './register.ts'

/**
 * The file of a roster: a frame for each statement, and one that closes it. A frame is its mark (4), a u16 length, so many
 * bytes, and the first half of HMAC-SHA256 over the three under a key of this device. So of a file that was damaged or cut
 * off anywhere all whole frames are found, and none needs its signature looked at again: who can make one holds the key.
 */
const MARK = Buffer.from('cvm1', 'latin1')
const CLOSING = Buffer.from('cvz1', 'latin1')
const MARK_BYTES = 4
const HEAD_BYTES = MARK_BYTES + 2
const SUM_BYTES = 16
const COUNT_BYTES = 4

export interface ReadRoster {
  readonly statements: readonly Kept[]
  /** The file is not what was written; `missing`: how many statements are gone, where the file still tells. */
  readonly damage: { readonly missing: number | undefined } | undefined
}

export function encodeRosterFile(statements: Iterable<Statement>, secret: Uint8Array): Buffer {
  const frames: Buffer[] = []
  for (const statement of statements) frames.push(frame(MARK, encodeStatement(statement), secret))
  const count = Buffer.alloc(COUNT_BYTES)
  count.writeUInt32BE(frames.length)
  return Buffer.concat([...frames, frame(CLOSING, count, secret)])
}

/** Reads all that is whole; never throws, whatever the bytes. */
export function decodeRosterFile(bytes: Buffer, secret: Uint8Array): ReadRoster {
  const statements: Kept[] = []
  let count: number | undefined
  let torn = false
  for (let at = 0; at < bytes.length; ) {
    const found = frameAt(bytes, at, secret)
    if (!found) {
      torn = true
      at = nextMark(bytes, at + 1)
      continue
    }
    at = found.end
    if (found.closing) count = found.content.readUInt32BE()
    else statements.push(found.statement)
  }
  const whole = !torn && count === statements.length
  const missing = count === undefined ? undefined : Math.max(0, count - statements.length)
  return { statements, damage: whole ? undefined : { missing } }
}

type Frame = { readonly end: number } & (
  | { readonly closing: true; readonly content: Buffer }
  | { readonly closing: false; readonly statement: Kept }
)

function frameAt(bytes: Buffer, at: number, secret: Uint8Array): Frame | undefined {
  if (bytes.length - at < HEAD_BYTES + SUM_BYTES) return undefined
  const mark = bytes.subarray(at, at + MARK_BYTES)
  const closing = mark.equals(CLOSING)
  const length = bytes.readUInt16BE(at + MARK_BYTES)
  if (!closing && !mark.equals(MARK)) return undefined
  if (length > MAX_STATEMENT_BYTES || (closing && length !== COUNT_BYTES)) return undefined
  const content = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
  const end = at + HEAD_BYTES + length + SUM_BYTES
  const sum = sumOf(bytes.subarray(at, at + HEAD_BYTES + length), secret)
  if (end > bytes.length || !sum.equals(bytes.subarray(end - SUM_BYTES, end))) return undefined
  if (closing) return { end, closing, content }
  try {
    return { end, closing, statement: keep(decodeStatement(content)) }
  } catch (thrown) {
    // Ours, and of a form that this version does not take.
    if (thrown instanceof CulvertError) return undefined
    throw thrown
  }
}

function nextMark(bytes: Buffer, from: number): number {
  const places = [bytes.indexOf(MARK, from), bytes.indexOf(CLOSING, from)].filter(place => place >= 0)
  return places.length > 0 ? Math.min(...places) : bytes.length
}

function frame(mark: Buffer, content: Uint8Array, secret: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  mark.copy(head)
  head.writeUInt16BE(content.length, MARK_BYTES)
  const whole = Buffer.concat([head, content])
  return Buffer.concat([whole, sumOf(whole, secret)])
}

function sumOf(bytes: Uint8Array, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(bytes).digest().subarray(0, SUM_BYTES)
}
