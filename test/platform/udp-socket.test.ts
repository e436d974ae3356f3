import test from 'ava'
import { listenUdp } from '../../common/platform/local-udp.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'

const NOWHERE = { address: '127.0.0.1', port: 0 }
const hello = Buffer.from('hello')

test('what came from port 0 is not answered, and that throws nothing', async t => {
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  t.notThrows(() => socket.send(hello, NOWHERE))
  await using listener = await listenUdp('127.0.0.1', 0)
  t.false(listener.send(hello, NOWHERE))
})

test('a packet that its handler throws at is lost, and the next one comes', async t => {
  await using receiver = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  await using sender = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const heard = new Promise<string>(resolve => {
    receiver.receive(bytes => {
      if (bytes.length === 0) throw new RangeError('no byte')
      resolve(bytes.toString())
    })
  })
  sender.send(Buffer.alloc(0), receiver.local)
  sender.send(hello, receiver.local)
  t.is(await heard, 'hello')
})
