import { createHash } from 'node:crypto'
import test from 'ava'
import { base32Encode } from '../../../../common/wire/base32.ts'
import { decodeInvite, encodeInvite, INVITE_PREFIX, readInviteBody } from '../../../../common/wire/invite-code.ts'
import { INVITE, INVITE_HEX, INVITE_TEXT } from '../../../vectors/invites.ts'
import { fromHex } from '../../../vectors/keys.ts'

const body = INVITE_TEXT.slice(INVITE_PREFIX.length)

test('a code is the text of the vector, and comes back from it', t => {
  t.is(encodeInvite(INVITE), INVITE_TEXT)
  t.deepEqual(decodeInvite(INVITE_TEXT), INVITE)
  t.deepEqual(readInviteBody(fromHex(INVITE_HEX)), INVITE)
})

test('case, line breaks, spaces and hyphens do not matter', t => {
  const broken = INVITE_TEXT.toUpperCase().replace(/.{20}/g, part => `${part}\r\n `)
  t.deepEqual(decodeInvite(` ${broken}\n`), INVITE)
  t.deepEqual(decodeInvite(INVITE_TEXT.replace(/.{5}/g, part => `${part}-`)), INVITE)
})

test('every letter that is wrong, missing or too much is damage', t => {
  const damaged = { code: 'invite-refused', message: /damaged: its check sum does not fit/ } as const
  for (let at = 0; at < body.length; at++) {
    const other = body[at] === 'a' ? 'b' : 'a'
    t.throws(() => decodeInvite(`${INVITE_PREFIX}${body.slice(0, at)}${other}${body.slice(at + 1)}`), damaged)
    t.throws(() => decodeInvite(`${INVITE_PREFIX}${body.slice(0, at)}${body.slice(at + 1)}`), damaged)
  }
  for (const text of [`${INVITE_TEXT}aa`, `${INVITE_TEXT}1`, INVITE_PREFIX]) {
    t.throws(() => decodeInvite(text), damaged)
  }
})

test('a later version is told apart from damage', t => {
  const newer = { code: 'version-unsupported', message: /newer version/ } as const
  t.throws(() => decodeInvite(`culvert2${body}`), newer)
  t.throws(() => decodeInvite(encodeAs(2)), newer)
})

test('what is no code at all says so', t => {
  const none = { code: 'usage', message: /is no join code/ } as const
  for (const text of ['', 'hello', body, `${INVITE_TEXT}${' '.repeat(10_000)}`])
    t.throws(() => decodeInvite(text), none)
})

test('what does not fit into a code is left out', t => {
  const relays = ['a', 'b', 'c', 'd'].map(name => ({ url: `https://${name}.example` }))
  const long = { url: `https://relay.example/${'x'.repeat(300)}` }
  t.deepEqual(decodeInvite(encodeInvite({ ...INVITE, relays: [long, ...relays] })).relays, relays.slice(0, 3))
  const endpoints = [1, 2, 3, 4, 5].map(port => ({ address: '192.168.1.1', port }))
  t.deepEqual(decodeInvite(encodeInvite({ ...INVITE, endpoints })).endpoints, endpoints.slice(0, 4))
  const written = { url: 'WSS://Relay.Example:443/' }
  t.deepEqual(decodeInvite(encodeInvite({ ...INVITE, relays: [written] })).relays, [{ url: 'https://relay.example' }])
})

/** The same code with another version in it, and a check sum that fits. */
function encodeAs(version: number): string {
  const changed = fromHex(INVITE_HEX)
  changed[0] = version
  const sum = createHash('sha256').update('culvert/1 invite').update(changed).digest().subarray(0, 4)
  return INVITE_PREFIX + base32Encode(Buffer.concat([changed, sum]))
}
