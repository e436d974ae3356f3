import test from 'ava'
import { BENCH_SERVICE } from '../../../../common/wire/bench-message.ts'
import { isName } from '../../../../common/wire/name.ts'
import { BENCH_MESSAGES } from '../../../vectors/bench-messages.ts'
import { fromHex } from '../../../vectors/keys.ts'

for (const { name, hex, encode, decode, message } of BENCH_MESSAGES) {
  test(`${name}: is written as its vector, and read from it`, t => {
    t.deepEqual(encode(), fromHex(hex))
    t.deepEqual<unknown, unknown>(decode(fromHex(hex)), message)
  })
}

test('no service of a config can have the name of the built-in one', t => t.false(isName(BENCH_SERVICE)))
