import { once } from 'node:events'
import test from 'ava'
import { closeAllDatachannels } from '../../agent/path/datachannel/attempt.ts'
import { stopIdleNative } from '../../agent/path/datachannel/native.ts'
import { connectPair } from './datachannel-pair.ts'

test.after.always(() => closeAllDatachannels())

test('the library rests when nothing is open, and carries bytes again afterwards', async t => {
  for (let round = 0; round < 3; round++) {
    const [near, far] = await connectPair()
    t.false(stopIdleNative())
    near.stream.write('still there')
    const [chunk] = await once(far.stream, 'data')
    t.is(String(chunk), 'still there')
    near.close()
    far.close()
    while (!stopIdleNative()) await new Promise(resolve => setImmediate(resolve))
  }
})
