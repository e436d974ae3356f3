import test from 'ava'
import { addressFromBytes, addressToBytes } from '../../../../common/wire/address-bytes.ts'
import { fromHex } from '../../../vectors/keys.ts'

for (const [text, hex, shortest] of [
  ['192.0.2.1', 'c0000201', '192.0.2.1'],
  ['2001:DB8:0:0:0:0:0:1', '20010db8000000000000000000000001', '2001:db8::1'],
  ['::', '00000000000000000000000000000000', '::'],
  ['::1', '00000000000000000000000000000001', '::1'],
  ['fe80::', 'fe800000000000000000000000000000', 'fe80::'],
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201', '::ffff:c000:201'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
] as const) {
  test(`${text} is ${hex}, and ${shortest} again`, t => {
    t.is(Buffer.from(addressToBytes(text)).toString('hex'), hex)
    t.is(addressFromBytes(fromHex(hex)), shortest)
  })
}
