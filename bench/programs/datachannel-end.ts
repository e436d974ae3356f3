import nodeDatachannel, { type DataChannel, type DescriptionType } from 'node-datachannel'
import { serveCommands } from './commands.ts'
import { monotonicMs } from './paced-stream.ts'

// The baseline of a `datachannel` path: one end of node-datachannel as it comes, `STUN_HOST STUN_PORT`. It makes up what
// it sends and only counts what it receives; flow control is the library's buffered amount.

const MESSAGE = Buffer.alloc(65_536, 7)
const HIGH_BYTES = 1024 * 1024

const [hostname = '', port] = process.argv.slice(2)
const connection = new nodeDatachannel.PeerConnection('bare', {
  iceServers: [{ hostname, port: Number(port) } as never],
  mtu: 1280,
})
const opened = Promise.withResolvers<void>()
const described = Promise.withResolvers<void>()
let channel: DataChannel | undefined
let received = 0
let running = false

function pump(): void {
  while (running && channel?.isOpen() && channel.bufferedAmount() < HIGH_BYTES) channel.sendMessageBinary(MESSAGE)
}

function use(next: DataChannel): void {
  channel = next
  next.onMessage(message => {
    received += typeof message === 'string' ? 0 : message.byteLength
  })
  next.setBufferedAmountLowThreshold(HIGH_BYTES / 4)
  next.onBufferedAmountLow(pump)
  next.onOpen(opened.resolve)
  if (next.isOpen()) opened.resolve()
}

connection.onDataChannel(use)
connection.onStateChange(() => undefined)
connection.onGatheringStateChange(state => {
  if (state === 'complete') described.resolve()
})

serveCommands({
  /** With a remote offer: answers it. Candidates stand in the description. */
  async describe(request) {
    if (request.text('sdp')) connection.setRemoteDescription(request.text('sdp'), 'offer' as DescriptionType)
    else use(connection.createDataChannel('bare'))
    await described.promise
    return connection.localDescription()
  },
  answer: request => connection.setRemoteDescription(request.text('sdp'), 'answer' as DescriptionType),
  open: () => opened.promise,
  start() {
    running = true
    pump()
  },
  count: () => ({ bytes: received, at: monotonicMs() }),
  stop() {
    running = false
  },
})
