import { serveCommands } from './commands.ts'
import { MadeUpTraffic } from './made-up-traffic.ts'
import { udxStreams } from './udx-streams.ts'

// The baseline of a `udx` path: `near|far PORT OTHER_HOST OTHER_PORT`, TLS 1.3 over two UDX streams, between public hosts.

const [side = '', port, host = '', otherPort] = process.argv.slice(2)
const stream = udxStreams({ side, port: Number(port), host, otherPort: Number(otherPort) })

const traffic = new MadeUpTraffic()
serveCommands({
  ...traffic.handlers,
  /** The far end first: what comes for a stream that is not there yet is lost until it is sent again. */
  open() {
    const [bulk, echo] = [stream(1), stream(3)]
    if (side === 'near') traffic.open(bulk, echo)
    else for (const one of [bulk, echo]) traffic.accept(one)
  },
})
