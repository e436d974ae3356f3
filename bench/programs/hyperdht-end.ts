import type { Duplex } from 'node:stream'
import DHT from 'hyperdht'
import { serveCommands } from './commands.ts'
import { MadeUpTraffic } from './made-up-traffic.ts'
import { monotonicMs } from './paced-stream.ts'

// hyperdht, the UDX and Noise of others: `bootstrap HOST PORT` is the beginning of a network, `member HOST PORT` joins it.
// One member listens, another one connects to its key.

/** A member learns from so many others what NAT it is behind, if any. */
const FIRST_NODES = 4

const [role, host = '', port] = process.argv.slice(2)
const address = { host, port: Number(port) }
const dht =
  role === 'bootstrap'
    ? DHT.bootstrapper(address.port, host)
    : new DHT({ bootstrap: [address], port: address.port, host: '0.0.0.0' })
await dht.fullyBootstrapped()
for (let i = 1; role === 'bootstrap' && i < FIRST_NODES; i++) {
  const options = { bootstrap: [address], port: address.port + i, host, ephemeral: false, firewalled: false }
  await new DHT(options).fullyBootstrapped()
}

const traffic = new MadeUpTraffic()

async function connect(key: Buffer): Promise<Duplex> {
  const stream = dht.connect(key)
  await new Promise<void>((resolve, reject) => {
    stream.once('open', resolve)
    stream.on('error', reject)
  })
  return stream
}

serveCommands({
  ...traffic.handlers,
  /** Gives the key to connect to. */
  async listen() {
    const server = dht.createServer(stream => {
      stream.on('error', () => stream.destroy())
      traffic.accept(stream)
    })
    const keyPair = DHT.keyPair()
    await server.listen(keyPair)
    return keyPair.publicKey.toString('hex')
  },
  /** Milliseconds until the first of two streams was open. */
  async open(request) {
    const key = Buffer.from(request.text('key'), 'hex')
    const startedAt = monotonicMs()
    const bulk = await connect(key)
    const took = monotonicMs() - startedAt
    traffic.open(bulk, await connect(key))
    return took
  },
})
