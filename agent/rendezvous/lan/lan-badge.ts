import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Random } from '../../../common/platform/random.ts'
import {
  LAN_NONCE_BYTES,
  LAN_TAG_BYTES,
  LAN_TAGS,
  type LanAnnouncement,
  type LanBadge,
  lanBinding,
  SEALED_ID_BYTES,
} from '../../../common/wire/lan-announcement.ts'
import { type PeerId, peerIdFromBytes, peerIdToBytes } from '../../../common/wire/peer-id.ts'

/** Whom we recognise on a LAN, and who may recognise us, as of now. */
export interface LanKeys {
  /** Peers that are trusted by their ids alone. They see us by ours. */
  readonly pinned: readonly PeerId[]
  /** The secret of our network. */
  readonly network?: Uint8Array | undefined
  /** Secrets of invites that we made and that are open: whoever holds one sees us. The first few. */
  readonly offered?: readonly Uint8Array[]
  /** Invites that we hold, and who made them. */
  readonly held?: readonly { readonly secret: Uint8Array; readonly inviter: PeerId }[]
}

const MEMBER_TAG = 0
const ID_TAG = 1
const INVITE_TAGS = 2

/** Whether there is anybody who could recognise us. */
export function isShown({ pinned, network, offered = [] }: LanKeys): boolean {
  return pinned.length > 0 || network !== undefined || offered.length > 0
}

/** Whether there is anybody whom we could recognise. */
export function isLooking(keys: LanKeys): boolean {
  return keys.pinned.length > 0 || keys.network !== undefined || (keys.held ?? []).length > 0
}

/** How many keys are tried on who turns out a stranger. */
export function keyCount({ pinned, network, held = [] }: LanKeys): number {
  return pinned.length + (network ? 2 : 0) + held.length
}

/** A fresh one for an announcement. */
export function makeBadge(
  own: PeerId,
  keys: LanKeys,
  announcement: Omit<LanAnnouncement, 'badge'>,
  random: Random,
): LanBadge {
  const nonce = random.bytes(LAN_NONCE_BYTES)
  const bound = [nonce, lanBinding(announcement)]
  const tags = Array.from({ length: LAN_TAGS }, () => random.bytes(LAN_TAG_BYTES))
  let sealedId = random.bytes(SEALED_ID_BYTES)
  if (keys.network) {
    const key = networkKey(keys.network)
    sealedId = masked(key, nonce, peerIdToBytes(own))
    tags[MEMBER_TAG] = memberTag(key, own, bound)
  }
  if (keys.pinned.length > 0) tags[ID_TAG] = idTag(own, bound)
  for (const [i, secret] of (keys.offered ?? []).slice(0, LAN_TAGS - INVITE_TAGS).entries()) {
    tags[INVITE_TAGS + i] = inviteTag(secret, bound)
  }
  return { nonce, sealedId, tags }
}

/** Who announces itself, if it is somebody we know. A member of our network costs one look, be it ever so large. */
export function recognise(announcement: LanAnnouncement, keys: LanKeys): PeerId | undefined {
  const { nonce, sealedId, tags } = announcement.badge
  const bound = [nonce, lanBinding(announcement)]
  const [forMembers, forId] = tags
  if (keys.network && forMembers) {
    const key = networkKey(keys.network)
    const id = peerIdFromBytes(masked(key, nonce, sealedId))
    if (same(memberTag(key, id, bound), forMembers)) return id
  }
  const pinned = forId && keys.pinned.find(id => same(idTag(id, bound), forId))
  if (pinned) return pinned
  return keys.held?.find(({ secret }) => {
    const expected = inviteTag(secret, bound)
    return tags.slice(INVITE_TAGS).some(tag => same(expected, tag))
  })?.inviter
}

/** Tells announcements apart that differ in anything. */
export function printOf(announcement: LanAnnouncement): string {
  const { nonce, sealedId, tags } = announcement.badge
  const hash = createHash('sha256')
  for (const part of [lanBinding(announcement), nonce, sealedId, ...tags]) hash.update(part)
  return hash.digest('base64')
}

function networkKey(secret: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), 'culvert/1 lan network', 32))
}

/** The nonce is fresh, so the mask is used once. */
function masked(key: Uint8Array, nonce: Uint8Array, id: Uint8Array): Uint8Array {
  const mask = createHmac('sha256', key).update('id').update(nonce).digest()
  return Uint8Array.from(mask, (byte, i) => byte ^ (id[i] ?? 0))
}

function memberTag(key: Uint8Array, id: PeerId, bound: readonly Uint8Array[]): Uint8Array {
  return tagOf(key, 'culvert/1 lan member', [peerIdToBytes(id), ...bound])
}

function idTag(id: PeerId, bound: readonly Uint8Array[]): Uint8Array {
  return tagOf(peerIdToBytes(id), 'culvert/1 lan peer', bound)
}

function inviteTag(secret: Uint8Array, bound: readonly Uint8Array[]): Uint8Array {
  return tagOf(secret, 'culvert/1 lan invite', bound)
}

function tagOf(key: Uint8Array, label: string, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key).update(label)
  for (const part of parts) hmac.update(part)
  return hmac.digest().subarray(0, LAN_TAG_BYTES)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
