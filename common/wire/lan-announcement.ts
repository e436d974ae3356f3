import { addressToBytes } from './address-bytes.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import {
  DNS_TYPE,
  type DnsMessage,
  type DnsName,
  type DnsRecord,
  encodeDnsQuery,
  encodeDnsResponse,
  sameName,
} from './dns-message.ts'

/** How agents of one link show themselves to those who know a key of theirs: DNS-SD (RFC 6763) over mDNS (RFC 6762). */
export const LAN_SERVICE: DnsName = ['_culvert', '_tcp', 'local']
/** What every message about the service contains, however its names are compressed. */
export const LAN_SERVICE_LABEL = Buffer.from('\x08_culvert', 'latin1')

/** One machine on one link, under names that say nothing. */
export interface LanAnnouncement {
  readonly instance: string
  readonly host: string
  /** Of the TCP listener for paths. */
  readonly port: number
  /** Of this link, IPv6 link-local ones without their zone; at most 4. */
  readonly addresses: readonly string[]
  readonly badge: LanBadge
}

/** What those who know a key see who it is by; to all others it is noise. Without a key of a sort, noise fills its place. */
export interface LanBadge {
  readonly nonce: Uint8Array
  /** The peer id, sealed for members of its network. */
  readonly sealedId: Uint8Array
  /** For members, for those who have the peer id, and for those who hold an invite of the peer's. */
  readonly tags: readonly Uint8Array[]
}

export const LAN_NONCE_BYTES = 16
export const LAN_TAG_BYTES = 8
/** One for members, one for who has the id, four for invites. */
export const LAN_TAGS = 6
export const SEALED_ID_BYTES = 32
const BADGE_BYTES = LAN_NONCE_BYTES + SEALED_ID_BYTES + LAN_TAGS * LAN_TAG_BYTES
export const MAX_LAN_ADDRESSES = 4
/** The key of the TXT record; another layout would have another key. */
const TXT_KEY = Buffer.from('a=')
/** Twice the time after which names change at the latest, and some more: two lost announcements in a row are rare. */
export const LAN_TTL_S = 2_400

/** What a tag holds for, so that nobody can use it with other addresses: instance, host, port and addresses. */
export function lanBinding({ instance, host, port, addresses }: Omit<LanAnnouncement, 'badge'>): Uint8Array {
  const sorted = addresses.map(address => Buffer.from(addressToBytes(address))).sort(Buffer.compare)
  const writer = new ByteWriter(2 * 65 + 2 + sorted.length * 17)
  writer.text(instance).text(host).u16(port)
  for (const address of sorted) writer.u8(address.length).bytes(address)
  return writer.finish()
}

export interface LanReplyForm {
  /** 0: it is no more. */
  readonly ttlS?: number
  /** To who asked from another port than mDNS's: the id of the query, and its question. */
  readonly repliesTo?: number
}

export function encodeLanAnnouncement(announcement: LanAnnouncement, form: LanReplyForm = {}): Buffer {
  const { ttlS = LAN_TTL_S, repliesTo } = form
  const question = { name: LAN_SERVICE, type: DNS_TYPE.PTR }
  return encodeDnsResponse({
    records: recordsOf(announcement, ttlS),
    ...(repliesTo === undefined ? {} : { id: repliesTo, question }),
  })
}

/** A question for all agents of the link but those whose instances the asker has heard of. */
export function encodeLanQuery(known: readonly { readonly instance: string; readonly ttlS: number }[]): Buffer {
  return encodeDnsQuery(
    { name: LAN_SERVICE, type: DNS_TYPE.PTR, unicast: true },
    known.map(({ instance, ttlS }) => ({
      name: LAN_SERVICE,
      ttlS,
      data: { type: 'PTR', target: [instance, ...LAN_SERVICE] },
    })),
  )
}

/** What a response says of agents: only those about which it says all. */
export function lanAnnouncementsOf(message: DnsMessage): readonly HeardAnnouncement[] {
  const heard: HeardAnnouncement[] = []
  for (const { name, ttlS, data } of message.records) {
    if (data.type !== 'PTR' || !sameName(name, LAN_SERVICE) || !isInstance(data.target)) continue
    const announcement = announcementOf(data.target, message.records)
    if (announcement) heard.push({ announcement, ttlS })
  }
  return heard
}

export interface HeardAnnouncement {
  readonly announcement: LanAnnouncement
  /** 0: it is no more. */
  readonly ttlS: number
}

/** A question about agents, and what its asker knows. */
export interface LanQuestion {
  readonly id: number
  readonly unicast: boolean
  /** Instances that need no answer (RFC 6762 §7.1). */
  readonly known: ReadonlySet<string>
}

/** What a query asks about agents: all of them, or this instance or host. */
export function lanQuestionOf(message: DnsMessage, own: LanAnnouncement): LanQuestion | undefined {
  const asked = message.questions.filter(
    ({ name, type }) =>
      (sameName(name, LAN_SERVICE) && (type === DNS_TYPE.PTR || type === DNS_TYPE.ANY)) ||
      sameName(name, [own.instance, ...LAN_SERVICE]) ||
      sameName(name, [own.host, 'local']),
  )
  if (asked.length === 0) return undefined
  const known = new Set<string>()
  for (const { name, ttlS, data } of message.records) {
    const fresh = ttlS >= LAN_TTL_S / 2
    if (fresh && data.type === 'PTR' && sameName(name, LAN_SERVICE) && data.target[0]) known.add(data.target[0])
  }
  return { id: message.id, unicast: asked.every(({ unicast }) => unicast), known }
}

function recordsOf({ instance, host, port, addresses, badge }: LanAnnouncement, ttlS: number): readonly DnsRecord[] {
  const name = [instance, ...LAN_SERVICE]
  const target = [host, 'local']
  const text = Buffer.concat([TXT_KEY, badge.nonce, badge.sealedId, ...badge.tags])
  return [
    { name: LAN_SERVICE, ttlS, data: { type: 'PTR', target: name } },
    { name, ttlS, data: { type: 'SRV', port, target } },
    { name, ttlS, data: { type: 'TXT', texts: [text] } },
    ...addresses
      .slice(0, MAX_LAN_ADDRESSES)
      .map((address): DnsRecord => ({ name: target, ttlS, data: { type: 'ADDRESS', address } })),
  ]
}

/** Agents make no other labels. */
const LABEL = /^[a-z0-9-]{1,63}$/

function isInstance(name: DnsName): boolean {
  const [instance = '', ...service] = name
  return LABEL.test(instance) && sameName(service, LAN_SERVICE)
}

function announcementOf(name: DnsName, records: readonly DnsRecord[]): LanAnnouncement | undefined {
  let port = 0
  let target: DnsName | undefined
  let badge: LanBadge | undefined
  for (const { name: owner, data } of records) {
    if (!sameName(owner, name)) continue
    if (data.type === 'SRV') ({ port, target } = data)
    if (data.type === 'TXT') badge = data.texts.map(badgeOf).find(found => found !== undefined)
  }
  const [instance] = name
  const host = target?.length === 2 && target[1] === 'local' ? target[0] : undefined
  if (instance === undefined || host === undefined || !LABEL.test(host) || !badge || port === 0) return undefined
  const addresses = records.flatMap(({ name: owner, data }) =>
    data.type === 'ADDRESS' && target && sameName(owner, target) ? [data.address] : [],
  )
  if (addresses.length === 0 || addresses.length > MAX_LAN_ADDRESSES) return undefined
  return { instance, host, port, addresses, badge }
}

function badgeOf(text: Uint8Array): LanBadge | undefined {
  const isBadge = text.length >= TXT_KEY.length + BADGE_BYTES && TXT_KEY.equals(text.subarray(0, TXT_KEY.length))
  if (!isBadge) return undefined
  const reader = new ByteReader(text.subarray(TXT_KEY.length))
  const nonce = reader.bytes(LAN_NONCE_BYTES)
  const sealedId = reader.bytes(SEALED_ID_BYTES)
  return { nonce, sealedId, tags: Array.from({ length: LAN_TAGS }, () => reader.bytes(LAN_TAG_BYTES)) }
}
