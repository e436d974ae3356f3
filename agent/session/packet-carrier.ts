import { datagramSize, writeDatagram } from '../../common/wire/datagram.ts'
import { FRAME, FRAME_HEADER_BYTES, type Frame } from '../../common/wire/session-frame.ts'
import type { DatagramChannel } from '../nat/udp-port.ts'
import { type DatagramSeal, SEAL_BYTES } from '../path/datagram-seal.ts'

/** Datagrams in sealed packets of their own, beside the stream of a path: a lost one keeps none waiting. */
export class PacketCarrier {
  readonly #channel: DatagramChannel
  readonly #seal: DatagramSeal

  /** `onFrame` may throw; what it is to do about that is not known here. */
  constructor(channel: DatagramChannel, seal: DatagramSeal, onFrame: (frame: Frame) => void) {
    this.#channel = channel
    this.#seal = seal
    channel.receive(packet => {
      const frame = this.#open(packet)
      if (frame) onFrame(frame)
    })
  }

  /** False when it could not be sent: the path is going down, or too narrow. */
  send(flow: number, message: number, datagram: Uint8Array): boolean {
    const frameBytes = this.#channel.maxBytes - SEAL_BYTES
    const frames = Buffer.allocUnsafe(datagramSize(datagram.length, frameBytes).bytes)
    try {
      writeDatagram(frames, 0, flow, message, datagram, frameBytes)
      for (let at = 0; at < frames.length; ) {
        const end = at + FRAME_HEADER_BYTES + frames.readUInt16BE(at + 2)
        this.#channel.send(this.#seal.seal(frames.subarray(at, end)))
        at = end
      }
      return true
    } catch {
      // The keys come from the path's TLS, which may be gone already.
      return false
    }
  }

  #open(packet: Buffer): Frame | undefined {
    const bytes = this.#openSeal(packet)
    if (!bytes || bytes.length < FRAME_HEADER_BYTES || bytes[0] !== FRAME.datagram) return undefined
    if (bytes.readUInt16BE(2) !== bytes.length - FRAME_HEADER_BYTES) return undefined
    return {
      type: FRAME.datagram,
      flags: bytes[1] ?? 0,
      stream: bytes.readUInt32BE(4),
      payload: bytes.subarray(FRAME_HEADER_BYTES),
    }
  }

  #openSeal(packet: Buffer): Buffer | undefined {
    try {
      return this.#seal.open(packet)
    } catch {
      return undefined
    }
  }
}
