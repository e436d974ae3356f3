import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import { isName } from '../../../../common/wire/name.ts'
import {
  decodeSync,
  encodeSync,
  MAX_SYNC_PAYLOAD_BYTES,
  SYNC_SERVICE,
  syncPayloadBytes,
} from '../../../../common/wire/sync-message.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { SYNC_MESSAGES } from '../../../vectors/sync-messages.ts'

const MALFORMED = { instanceOf: CulvertError, code: 'wire-malformed' }

for (const { message, hex } of SYNC_MESSAGES) {
  test(`${message.kind}: is written as its vector, and read from it`, t => {
    t.deepEqual(encodeSync(message), fromHex(hex))
    t.deepEqual(decodeSync(fromHex(hex)), message)
    t.is(syncPayloadBytes(fromHex(hex).subarray(0, 6)), fromHex(hex).length - 6)
  })
}

test('a kind of a later version is passed over, and what cannot be is malformed', t => {
  t.is(decodeSync(fromHex('09 01 00000001 00')), undefined)
  for (const hex of [
    '01 01 00000001 00',
    '07 01 00000001 00',
    '06 01 00000003 0002 00',
    '06 01 00000002 1001',
    '02 01 00000001',
  ]) {
    t.throws(() => decodeSync(fromHex(hex)), MALFORMED, hex)
  }
  const long = Buffer.alloc(6)
  long.writeUInt32BE(MAX_SYNC_PAYLOAD_BYTES + 1, 2)
  t.throws(() => syncPayloadBytes(long), MALFORMED)
})

test('no service of a config can have the name of the built-in one', t => t.false(isName(SYNC_SERVICE)))
