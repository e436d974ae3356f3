import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import { isName } from '../../../../common/wire/name.ts'
import { CALL_SERVICE, decodePipeHead, encodePipeHead, PIPE_SERVICE } from '../../../../common/wire/peer-pipe.ts'
import { ALICE, fromHex } from '../../../vectors/keys.ts'
import { PIPE_HEAD_HEX } from '../../../vectors/peer-pipes.ts'

test('the head of a pipe is written as its vector, and read from it', t => {
  t.deepEqual(encodePipeHead(ALICE.id), fromHex(PIPE_HEAD_HEX))
  t.is(decodePipeHead(fromHex(PIPE_HEAD_HEX)), ALICE.id)
})

test('a head of another length is refused', t => {
  for (const length of [0, 31, 33]) {
    t.throws(() => decodePipeHead(new Uint8Array(length)), { instanceOf: CulvertError, code: 'wire-malformed' })
  }
})

test('no service of a config can have the names of these', t => {
  t.false(isName(PIPE_SERVICE))
  t.false(isName(CALL_SERVICE))
})
