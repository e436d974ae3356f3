import test from 'ava'
import UdxSocket from 'udx-native/lib/socket.js'
import { openUdxSocket } from '../../common/platform/udx-socket.ts'

interface Library {
  _allocSend(): number
  trySend(): void
}

test('datagrams that a slow line does not take are given up, not kept', async t => {
  const library = UdxSocket.prototype as unknown as Library
  let kept = 0
  library.trySend = function (this: Library) {
    this._allocSend()
    kept++
  }
  await using socket = await openUdxSocket({ family: 4, address: '127.0.0.1' })
  for (let i = 0; i < 10_000; i++) socket.send(Buffer.alloc(1_200), { address: '127.0.0.1', port: 9 })
  t.is(kept, 256)
})
