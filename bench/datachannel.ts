import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import nodeDatachannel, { type DataChannel, type PeerConnection } from 'node-datachannel'
import { closeAllDatachannels } from '../agent/path/datachannel/attempt.ts'
import { createSealer } from '../agent/path/seal.ts'
import { systemClock } from '../common/platform/clock.ts'
import { generateKeyPair } from '../common/platform/ed25519.ts'
import { connectPair } from '../test/path/datachannel-pair.ts'

export interface DatachannelFigures {
  /** node-datachannel as it comes: 64 KiB messages, its own buffered amount as the only flow control. */
  readonly bareMbps: number
  /** Our byte stream on it. */
  readonly duplexMbps: number
  /** The sealed path: TLS 1.3 on our byte stream. */
  readonly tlsMbps: number
  /** Medians of the ratios within one round, which the machine's other work disturbs less than the figures. */
  readonly duplexShare: number
  readonly tlsShare: number
}

const MESSAGE = Buffer.alloc(65536, 7)
const ROUNDS = 5
const WARM_UP_MS = 200
const SLOT_MS = 500

/** One way of carrying bytes: how to keep it busy, and how many bytes have arrived. */
interface Carrier {
  start(): void
  stop(): void
  received(): number
}

/**
 * Loopback, both ends in this process, about 10 s: the three carriers take turns in short slots, so that each round
 * compares them on the same machine in the same mood.
 */
export async function benchDatachannel(): Promise<DatachannelFigures> {
  const carriers = [await bareCarrier(), await duplexCarrier(), await tlsCarrier()]
  const rates: number[][] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, carrier] of carriers.entries()) rates[index]?.push(await measure(carrier))
  }
  closeAllDatachannels()
  const [bare = [], duplex = [], tls = []] = rates
  const share = (part: readonly number[]) => median(part.map((rate, round) => rate / (bare[round] ?? Number.NaN)))
  return {
    bareMbps: median(bare),
    duplexMbps: median(duplex),
    tlsMbps: median(tls),
    duplexShare: share(duplex),
    tlsShare: share(tls),
  }
}

async function measure(carrier: Carrier): Promise<number> {
  carrier.start()
  await wait(WARM_UP_MS)
  const bytes = carrier.received()
  const startedAt = performance.now()
  await wait(SLOT_MS)
  const rate = ((carrier.received() - bytes) * 8) / 1000 / (performance.now() - startedAt)
  carrier.stop()
  // What is still under way must not count for the next carrier.
  for (let last = -1; last !== carrier.received(); await wait(50)) last = carrier.received()
  return rate
}

async function bareCarrier(): Promise<Carrier> {
  const config = { iceServers: [], bindAddress: '127.0.0.1', mtu: 1280 }
  const sender = new nodeDatachannel.PeerConnection('sender', config)
  const receiver = new nodeDatachannel.PeerConnection('receiver', config)
  join(sender, receiver)
  join(receiver, sender)
  let received = 0
  let running = false
  let incoming: DataChannel | undefined
  receiver.onDataChannel(channel => {
    incoming = channel
    channel.onMessage(message => {
      received += typeof message === 'string' ? 0 : message instanceof ArrayBuffer ? message.byteLength : message.length
    })
  })
  const channel = sender.createDataChannel('bare')
  const opened = new Promise<void>(resolve => channel.onOpen(resolve))
  const high = 1024 * 1024
  const pump = () => {
    while (running && channel.isOpen() && channel.bufferedAmount() < high) channel.sendMessageBinary(MESSAGE)
  }
  channel.setBufferedAmountLowThreshold(high / 4)
  channel.onBufferedAmountLow(pump)
  await opened
  return {
    start() {
      running = true
      pump()
    },
    stop() {
      running = false
    },
    received: () => (incoming ? received : 0),
  }
}

function join(from: PeerConnection, to: PeerConnection): void {
  const early: string[] = []
  let described = false
  from.onStateChange(() => undefined)
  from.onLocalDescription((sdp, type) => {
    to.setRemoteDescription(sdp, type)
    described = true
    for (const line of early) to.addRemoteCandidate(line, '0')
  })
  from.onLocalCandidate(line => {
    if (described) to.addRemoteCandidate(line, '0')
    else early.push(line)
  })
}

async function duplexCarrier(): Promise<Carrier> {
  const [from, to] = await connectPair()
  return streamCarrier(from.stream, to.stream)
}

async function tlsCarrier(): Promise<Carrier> {
  const [from, to] = await connectPair()
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const common = { accept: () => true, signal: new AbortController().signal }
  const [sender, receiver] = await Promise.all([
    createSealer(keys[0], systemClock).seal(from.stream, { ...common, role: 'client', expected: keys[1].id }),
    createSealer(keys[1], systemClock).seal(to.stream, { ...common, role: 'server', expected: keys[0].id }),
  ])
  return streamCarrier(sender.stream, receiver.stream)
}

function streamCarrier(from: Duplex, to: Duplex): Carrier {
  let received = 0
  let running = false
  to.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  const pump = async () => {
    while (running) if (!from.write(MESSAGE)) await once(from, 'drain')
  }
  return {
    start() {
      running = true
      void pump()
    },
    stop() {
      running = false
    },
    received: () => received,
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
