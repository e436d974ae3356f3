import { listenUdp } from '../common/platform/local-udp.ts'
import { listenTcp } from '../common/platform/tcp.ts'

/** Below what Linux gives out by itself (32768 and up), and below what an agent or a relay draws (10,000 and up). */
const LOW = 2_000
const COUNT = 8_000
const PER_PROCESS = 16

let taken = 0

/**
 * A port of 127.0.0.1 that is free for TCP and UDP, and that nobody gets before it is used: a port that the system gave
 * out and took back goes to whichever test asks next.
 */
export async function quietPort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = LOW + ((process.pid * PER_PROCESS + taken++) % COUNT)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

async function isFree(port: number): Promise<boolean> {
  const address = '127.0.0.1'
  try {
    await using _tcp = await listenTcp({ address, port, onConnection: socket => socket.destroy() })
    const udp = await listenUdp(address, port)
    await udp.close()
    return true
  } catch {
    return false
  }
}
