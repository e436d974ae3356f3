import { join } from 'node:path'
import { type Ends, through } from '../ends.ts'
import type { Carrier } from '../traffic.ts'

const PROGRAM = join(import.meta.dirname, '../programs/tls-end.ts')

/** Two bare Node processes: net, TLS 1.3, net, joined by pipes. */
export async function startBareTls(ends: Ends): Promise<Carrier> {
  const { stage, near, far, servicePort } = ends
  const [nearPort, farPort] = [await stage.freePort(), await stage.freePort()]
  const start = async (machine: Ends['near']['machine'], ...args: readonly (string | number)[]) => {
    const started = machine.spawn(process.execPath, [PROGRAM, ...args.map(String)])
    await started.waitForOutput(/ready/)
    return started.pid
  }
  const pids = await Promise.all([
    start(near.machine, 'near', nearPort, far.machine.address, farPort),
    start(far.machine, 'far', farPort, '127.0.0.1', servicePort),
  ])
  return through(ends, { host: '127.0.0.1', port: nearPort }, pids)
}
