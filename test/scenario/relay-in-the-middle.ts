import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'

/** Which way bytes go through the middle. */
export type Way = 'toPeer' | 'toAgent'

const swallow = () => Buffer.alloc(0)

/** An attached pipe after its 101: the agent's end, and the end that the honest relay holds. Nothing flows by itself. */
export class HeldPipe {
  readonly agent: Socket
  readonly relay: Socket
  /** What was sent so far each way, when it was passed on. */
  readonly recorded: Record<Way, Buffer[]> = { toPeer: [], toAgent: [] }
  #change: (way: Way, chunk: Buffer, at: number) => Buffer | 'end' = (_way, chunk) => chunk

  constructor(agent: Socket, relay: Socket) {
    this.agent = agent
    this.relay = relay
  }

  /** Passes on what comes, as an honest relay does, but for what `change` does to a chunk that begins at this byte. */
  pass(change?: (way: Way, chunk: Buffer, at: number) => Buffer | 'end'): void {
    if (change) this.#change = change
    this.#flow('toPeer', this.agent, this.relay)
    this.#flow('toAgent', this.relay, this.agent)
  }

  /** Changes what comes from now on, in a pipe that is being passed on. */
  tamper(change: (way: Way, chunk: Buffer) => Buffer | 'end'): void {
    this.#change = change
  }

  #flow(way: Way, from: Socket, to: Socket): void {
    let at = 0
    from.on('data', chunk => {
      const changed = this.#change(way, chunk, at)
      at += chunk.length
      if (changed === 'end') {
        // As if all had been said: truncation that no TCP reset gives away.
        this.agent.end()
        this.relay.end()
        return
      }
      this.recorded[way].push(changed)
      if (to.writable && !to.write(changed)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    from.on('close', () => to.destroy())
    from.resume()
  }
}

/**
 * Stands between one agent and an honest relay, as an HTTP proxy, and has every pipe of that agent in its hands. Control
 * lines pass untouched, until a test has them swallowed.
 */
export class RelayInTheMiddle implements AsyncDisposable {
  readonly proxy: URL
  /** What is done with the next pipe; an honest relay's way unless a test says otherwise. */
  onPipe: (pipe: HeldPipe) => void = pipe => pipe.pass()
  /** All pipes so far, oldest first. */
  readonly pipes: HeldPipe[] = []
  /** And all control lines. */
  readonly lines: HeldPipe[] = []
  /** Whether new control lines are swallowed from the beginning. */
  swallows = false
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #relayPort: number

  private constructor(server: Server, port: number, relayPort: number) {
    this.#server = server
    this.proxy = new URL(`http://127.0.0.1:${port}`)
    this.#relayPort = relayPort
    server.on('connection', socket => this.#take(socket))
  }

  static async start(relayPort: number): Promise<RelayInTheMiddle> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new RelayInTheMiddle(server, address.port, relayPort)
  }

  get lastPipe(): HeldPipe {
    const pipe = this.pipes.at(-1)
    if (!pipe) throw new Error('no pipe yet')
    return pipe
  }

  /** From now on everything on the control lines that are there is taken, and nothing is passed on. */
  swallowLines(): void {
    for (const line of this.lines) line.tamper(swallow)
  }

  /** The next pipe, held; those after it are passed on again. */
  hold(): Promise<HeldPipe> {
    return new Promise(resolve => {
      this.onPipe = pipe => {
        this.onPipe = next => next.pass()
        resolve(pipe)
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #take(agent: Socket): void {
    const relay = connect({ port: this.#relayPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    for (const socket of [agent, relay]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    void this.#begin(agent, relay)
  }

  async #begin(agent: Socket, relay: Socket): Promise<void> {
    await readHead(agent)
    agent.write('HTTP/1.1 200 Connection established\r\n\r\n')
    const request = await readHead(agent)
    relay.write(request)
    if (!request.startsWith('GET /v1/pipe/')) {
      const line = new HeldPipe(agent, relay)
      this.lines.push(line)
      line.pass(this.swallows ? swallow : undefined)
      return
    }
    const answer = await readHead(relay)
    agent.write(answer)
    const pipe = new HeldPipe(agent, relay)
    if (!answer.startsWith('HTTP/1.1 101')) {
      pipe.pass()
      return
    }
    this.pipes.push(pipe)
    this.onPipe(pipe)
  }
}

/** Reads an HTTP head; what comes behind it stays unread. Empty when the connection ends before. */
async function readHead(socket: Socket): Promise<string> {
  let head = Buffer.alloc(0)
  const over = new Promise<void>(resolve => socket.once('close', () => resolve()))
  for (;;) {
    const chunk: unknown = socket.read()
    if (Buffer.isBuffer(chunk)) head = Buffer.concat([head, chunk])
    const end = head.indexOf(END_OF_HEAD)
    if (end >= 0) {
      socket.unshift(head.subarray(end + END_OF_HEAD.length))
      return head.toString('latin1', 0, end + END_OF_HEAD.length)
    }
    if (socket.destroyed || socket.readableEnded) return ''
    await Promise.race([once(socket, 'readable').catch(() => undefined), over])
  }
}
