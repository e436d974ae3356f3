import { CulvertError } from '../errors.ts'
import { addressFromBytes, addressToBytes } from './address-bytes.ts'
import { ByteReader } from './bytes.ts'

/**
 * DNS messages (RFC 1035 §4) as far as DNS-SD over multicast needs them: PTR, SRV, TXT, A and AAAA of class IN. Records of
 * other kinds are read over.
 */
export interface DnsMessage {
  readonly id: number
  readonly response: boolean
  readonly questions: readonly DnsQuestion[]
  /** Of all sections, in their order. */
  readonly records: readonly DnsRecord[]
}

export interface DnsQuestion {
  readonly name: DnsName
  readonly type: number
  /** RFC 6762 §5.4: an answer to the asker alone is welcome. */
  readonly unicast: boolean
}

export interface DnsRecord {
  readonly name: DnsName
  readonly ttlS: number
  readonly data: DnsData
}

export type DnsData =
  | { readonly type: 'PTR'; readonly target: DnsName }
  | { readonly type: 'SRV'; readonly port: number; readonly target: DnsName }
  | { readonly type: 'TXT'; readonly texts: readonly Uint8Array[] }
  | { readonly type: 'ADDRESS'; readonly address: string }

/** Labels, in lower case: DNS does not tell cases apart (RFC 1035 §2.3.3). */
export type DnsName = readonly string[]

export const DNS_TYPE = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const
const CLASS_IN = 1
/** RFC 6762 §10.2 in records that only one machine has, and §5.4 in questions. */
const TOP_BIT = 0x8000
const RESPONSE = 0x8000
/** An answer of who knows (RFC 6762 §18.4). */
const AUTHORITATIVE = 0x0400

/** Ours: longer than that over Ethernet comes in parts. */
export const MAX_DNS_BYTES = 1_500
const MAX_QUESTIONS = 32
const MAX_RECORDS = 64
/** RFC 1035 §2.3.4. */
const MAX_NAME_BYTES = 255
const MAX_LABEL_BYTES = 63

export function sameName(a: DnsName, b: DnsName): boolean {
  return a.length === b.length && a.every((label, i) => label === b[i])
}

/** Reads a message; anything malformed throws `wire-malformed`. */
export function decodeDns(bytes: Buffer): DnsMessage {
  if (bytes.length > MAX_DNS_BYTES) throw malformed(`message of ${bytes.length} bytes`)
  const reader = new ByteReader(bytes)
  const id = reader.u16()
  const response = (reader.u16() & RESPONSE) !== 0
  const questionCount = reader.u16()
  const recordCount = reader.u16() + reader.u16() + reader.u16()
  if (questionCount > MAX_QUESTIONS || recordCount > MAX_RECORDS) {
    throw malformed(`${questionCount} questions and ${recordCount} records`)
  }
  const name = () => readName(bytes, reader)
  const questions: DnsQuestion[] = []
  for (let i = 0; i < questionCount; i++) {
    const asked = name()
    const type = reader.u16()
    const kind = reader.u16()
    if ((kind & ~TOP_BIT) === CLASS_IN) questions.push({ name: asked, type, unicast: (kind & TOP_BIT) !== 0 })
  }
  const records: DnsRecord[] = []
  for (let i = 0; i < recordCount; i++) {
    const owner = name()
    const type = reader.u16()
    const kind = reader.u16()
    const ttlS = reader.u32()
    const length = reader.u16()
    const start = bytes.length - reader.left
    const content = reader.bytes(length)
    const data =
      (kind & ~TOP_BIT) === CLASS_IN ? readData(type, content, bytes.subarray(0, start + length), start) : undefined
    if (data) records.push({ name: owner, ttlS, data })
  }
  return { id, response, questions, records }
}

export interface DnsReply {
  readonly id?: number
  readonly question?: { readonly name: DnsName; readonly type: number }
  /** The first is the answer, the others are added to it. */
  readonly records: readonly DnsRecord[]
}

export function encodeDnsResponse({ id = 0, question, records }: DnsReply): Buffer {
  const writer = new DnsWriter()
  writer.header(id, RESPONSE | AUTHORITATIVE, question ? 1 : 0, 1, records.length - 1)
  if (question) writer.question(question.name, question.type, false)
  for (const record of records) writer.record(record)
  return writer.finish()
}

/** A question, with the answers that the asker knows already (RFC 6762 §7.1). */
export function encodeDnsQuery(question: DnsQuestion, known: readonly DnsRecord[]): Buffer {
  const writer = new DnsWriter()
  writer.header(0, 0, 1, known.length, 0)
  writer.question(question.name, question.type, question.unicast)
  for (const record of known) writer.record(record)
  return writer.finish()
}

/** Leaves the reader behind the name. A pointer leads only to what stands before, so no name is endless. */
function readName(bytes: Buffer, reader: ByteReader): DnsName {
  const labels: string[] = []
  let total = 0
  let at: ByteReader = reader
  let before = bytes.length - reader.left
  for (;;) {
    const length = at.u8()
    if (length === 0) return labels
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | at.u8()
      if (target >= before) throw malformed('a name that points ahead')
      before = target
      at = new ByteReader(bytes.subarray(target))
      continue
    }
    total += length + 1
    if (length > MAX_LABEL_BYTES || total > MAX_NAME_BYTES) throw malformed('a name that is too long')
    labels.push(Buffer.from(at.bytes(length)).toString('latin1').toLowerCase())
  }
}

/** `upTo` is the message as far as the end of this record, whose content begins at `start`. */
function readData(type: number, content: Uint8Array, upTo: Buffer, start: number): DnsData | undefined {
  const nameAt = (offset: number) => readName(upTo, new ByteReader(upTo).skip(start + offset))
  switch (type) {
    case DNS_TYPE.A:
    case DNS_TYPE.AAAA:
      if (content.length !== (type === DNS_TYPE.A ? 4 : 16)) throw malformed('an address of another length')
      return { type: 'ADDRESS', address: addressFromBytes(content) }
    case DNS_TYPE.PTR:
      return { type: 'PTR', target: nameAt(0) }
    case DNS_TYPE.SRV: {
      const port = new ByteReader(content).skip(4).u16()
      return { type: 'SRV', port, target: nameAt(6) }
    }
    case DNS_TYPE.TXT: {
      const texts: Uint8Array[] = []
      for (const reader = new ByteReader(content); reader.left > 0; ) texts.push(reader.bytes(reader.u8()))
      return { type: 'TXT', texts }
    }
    default:
      return undefined
  }
}

class DnsWriter {
  readonly #buffer = Buffer.alloc(MAX_DNS_BYTES)
  #at = 0
  /** Where a name, or the end of one, was written (RFC 1035 §4.1.4). */
  readonly #written = new Map<string, number>()

  header(id: number, flags: number, questions: number, answers: number, additional: number): void {
    for (const value of [id, flags, questions, answers, 0, additional]) this.#u16(value)
  }

  question(name: DnsName, type: number, unicast: boolean): void {
    this.#name(name)
    this.#u16(type)
    this.#u16(CLASS_IN | (unicast ? TOP_BIT : 0))
  }

  record({ name, ttlS, data }: DnsRecord): void {
    this.#name(name)
    this.#u16(typeOf(data))
    // Others may point to the same instances as we do; the rest is ours alone.
    this.#u16(data.type === 'PTR' ? CLASS_IN : CLASS_IN | TOP_BIT)
    this.#u16(ttlS >>> 16)
    this.#u16(ttlS & 0xffff)
    const lengthAt = this.#at
    this.#u16(0)
    this.#data(data)
    this.#buffer.writeUInt16BE(this.#at - lengthAt - 2, lengthAt)
  }

  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#at))
  }

  #data(data: DnsData): void {
    switch (data.type) {
      case 'PTR':
        this.#name(data.target)
        return
      case 'SRV':
        for (const value of [0, 0, data.port]) this.#u16(value)
        this.#name(data.target)
        return
      case 'TXT':
        for (const text of data.texts) {
          this.#u8(text.length)
          this.#bytes(text)
        }
        return
      case 'ADDRESS':
        this.#bytes(addressToBytes(data.address))
        return
      default:
        data satisfies never
    }
  }

  #name(name: DnsName): void {
    for (let i = 0; i < name.length; i++) {
      const rest = name.slice(i).join('\0')
      const known = this.#written.get(rest)
      if (known !== undefined) {
        this.#u16(0xc000 | known)
        return
      }
      this.#written.set(rest, this.#at)
      const label = Buffer.from(name[i] ?? '', 'latin1')
      this.#u8(label.length)
      this.#bytes(label)
    }
    this.#u8(0)
  }

  #u8(value: number): void {
    this.#at = this.#buffer.writeUInt8(value, this.#at)
  }

  #u16(value: number): void {
    this.#at = this.#buffer.writeUInt16BE(value, this.#at)
  }

  #bytes(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }
}

function typeOf(data: DnsData): number {
  if (data.type === 'ADDRESS') return data.address.includes(':') ? DNS_TYPE.AAAA : DNS_TYPE.A
  return DNS_TYPE[data.type]
}

function malformed(what: string): CulvertError {
  return new CulvertError('wire-malformed', `DNS: ${what}`)
}
