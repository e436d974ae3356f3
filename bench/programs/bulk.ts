import type { Socket } from 'node:net'
import { canReadFast, readInto } from '../../common/platform/fast-read.ts'

/** The first byte of a connection says what the far end is to do. */
export const MODES = { up: 'u', down: 'd', echo: 'e' } as const
export type Mode = keyof typeof MODES

const BLOCK = Buffer.alloc(256 * 1024, 7)
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024)

/** Bytes that this end has received, and the sockets that carry them. It is to cost as little as Node allows. */
export class Bulk {
  received = 0
  readonly #sockets = new Set<Socket>()

  /** The far end: obeys the first byte. */
  accept(socket: Socket): void {
    this.#keep(socket)
    socket.once('data', (chunk: Buffer) => {
      const mode = chunk.toString('latin1', 0, 1)
      const rest = chunk.subarray(1)
      if (mode === MODES.echo) {
        if (rest.length > 0) socket.write(rest)
        socket.pipe(socket)
        return
      }
      this.received += rest.length
      if (mode === MODES.down) this.send(socket)
      this.#readCheaply(socket)
    })
  }

  /** The near end of a bulk stream. */
  run(socket: Socket, mode: 'up' | 'down'): void {
    this.#keep(socket)
    socket.write(MODES[mode])
    if (mode === 'up') this.send(socket)
    this.#readCheaply(socket)
  }

  send(socket: Socket): void {
    const go = () => {
      while (!socket.destroyed && socket.write(BLOCK));
    }
    socket.on('drain', go)
    go()
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('end', () => socket.end())
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #readCheaply(socket: Socket): void {
    socket.pause()
    for (let chunk: unknown = socket.read(); Buffer.isBuffer(chunk); chunk = socket.read())
      this.received += chunk.length
    const count = (length: number) => {
      this.received += length
      return true
    }
    if (canReadFast(socket)) readInto(socket, READ_BUFFER, count, () => undefined)
    else socket.on('data', chunk => count(chunk.length))
    socket.resume()
  }
}
