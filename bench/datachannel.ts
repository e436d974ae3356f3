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
  /** Medians of the ratios to the bare rate within one round, which the machine's other work disturbs less. */
  readonly duplexShare: number
  readonly tlsShare: number
  /** CPU seconds per GB for both ends together: what stays comparable on a machine that has other work to do. */
  readonly bareCpuPerGb: number
  readonly duplexCpuPerGb: number
  readonly tlsCpuPerGb: number
}

const MESSAGE = Buffer.alloc(65536, 7)
const ROUNDS = 4
/** SCTP's congestion window starts anew after a pause. */
const WARM_UP_MS = 250
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
  const slots: Slot[][] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, carrier] of carriers.entries()) slots[index]?.push(await measure(carrier))
  }
  closeAllDatachannels()
  const [bare = [], duplex = [], tls = []] = slots
  const mbps = (of: readonly Slot[]) => median(of.map(slot => slot.mbps))
  const share = (of: readonly Slot[]) => median(of.map((slot, round) => slot.mbps / (bare[round]?.mbps ?? Number.NaN)))
  const cpuPerGb = (of: readonly Slot[]) => sum(of.map(slot => slot.cpuS)) / sum(of.map(slot => slot.gb))
  return {
    bareMbps: mbps(bare),
    duplexMbps: mbps(duplex),
    tlsMbps: mbps(tls),
    duplexShare: share(duplex),
    tlsShare: share(tls),
    bareCpuPerGb: cpuPerGb(bare),
    duplexCpuPerGb: cpuPerGb(duplex),
    tlsCpuPerGb: cpuPerGb(tls),
  }
}

interface Slot {
  readonly mbps: number
  readonly gb: number
  readonly cpuS: number
}

async function measure(carrier: Carrier): Promise<Slot> {
  carrier.start()
  await wait(WARM_UP_MS)
  const before = carrier.received()
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  await wait(SLOT_MS)
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const gb = (carrier.received() - before) / 1e9
  carrier.stop()
  // What is still under way must not count for the next carrier.
  for (let last = -1; last !== carrier.received(); await wait(50)) last = carrier.received()
  return { mbps: (gb * 8000) / seconds, gb, cpuS: (user + system) / 1e6 }
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

/** A stream that always has something to send, as a session under load has. */
const QUEUED_BYTES = 256 * 1024

function streamCarrier(from: Duplex, to: Duplex): Carrier {
  let received = 0
  let running = false
  to.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  const pump = async () => {
    while (running) {
      while (from.writableLength < QUEUED_BYTES) from.write(MESSAGE)
      await once(from, 'drain')
    }
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
