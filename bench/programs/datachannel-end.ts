import nodeDatachannel, { type DataChannel, type DescriptionType } from 'node-datachannel'
import { serveCommands } from './commands.ts'
import { monotonicMs } from './paced-stream.ts'

// The baseline of a `datachannel` path: one end of node-datachannel as it comes, `STUN_HOST STUN_PORT`. It makes up what
// it sends and only counts what it receives; flow control is the library's buffered amount.

const MESSAGE = Buffer.alloc(65_536, 7)
const LINE = Buffer.from('a line of sixty-four bytes, about what a terminal program sends\n')
const HIGH_BYTES = 256 * 1024
const ECHO = 'echo'

const [hostname = '', port] = process.argv.slice(2)
const connection = new nodeDatachannel.PeerConnection('bare', {
  iceServers: [{ hostname, port: Number(port) } as never],
  mtu: 1280,
})
const opened = { bulk: Promise.withResolvers<void>(), echo: Promise.withResolvers<void>() }
const described = Promise.withResolvers<void>()
let bulk: DataChannel | undefined
let echo: DataChannel | undefined
let onEcho: (() => void) | undefined
let received = 0
let running = false

function pump(): void {
  while (running && bulk?.isOpen() && bulk.bufferedAmount() < HIGH_BYTES) bulk.sendMessageBinary(MESSAGE)
}

function use(channel: DataChannel, offers: boolean): void {
  const isEcho = channel.getLabel() === ECHO
  const { resolve } = isEcho ? opened.echo : opened.bulk
  channel.onOpen(resolve)
  if (channel.isOpen()) resolve()
  if (isEcho) {
    echo = channel
    channel.onMessage(message => {
      if (offers) onEcho?.()
      else if (channel.isOpen() && Buffer.isBuffer(message)) channel.sendMessageBinary(message)
    })
    return
  }
  bulk = channel
  channel.onMessage(message => {
    received += typeof message === 'string' ? 0 : message.byteLength
  })
  channel.setBufferedAmountLowThreshold(HIGH_BYTES / 4)
  channel.onBufferedAmountLow(pump)
}

function roundTrip(): Promise<number> {
  return new Promise(resolve => {
    const sentAt = monotonicMs()
    onEcho = () => resolve(monotonicMs() - sentAt)
    echo?.sendMessageBinary(LINE)
  })
}

connection.onDataChannel(channel => use(channel, false))
connection.onStateChange(() => undefined)
connection.onGatheringStateChange(state => {
  if (state === 'complete') described.resolve()
})

serveCommands({
  /** With a remote offer: answers it. Candidates stand in the description. */
  async describe(request) {
    if (request.text('sdp')) connection.setRemoteDescription(request.text('sdp'), 'offer' as DescriptionType)
    else for (const label of ['bare', ECHO]) use(connection.createDataChannel(label), true)
    await described.promise
    return connection.localDescription()
  },
  answer: request => connection.setRemoteDescription(request.text('sdp'), 'answer' as DescriptionType),
  open: () => Promise.all([opened.bulk.promise, opened.echo.promise]),
  start() {
    running = true
    pump()
  },
  count: () => ({ bytes: received, at: monotonicMs() }),
  stop() {
    running = false
  },
  async echo(request) {
    const times: number[] = []
    for (let left = request.number('count'); left > 0; left--) times.push(await roundTrip())
    return times
  },
})
