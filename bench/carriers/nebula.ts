import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Ends, through } from '../ends.ts'
import { nothing } from '../program.ts'
import type { Carrier } from '../traffic.ts'
import { requireProgram } from './required-program.ts'

const PORT = 4_242
const ADDRESSES = { near: '10.99.0.1', far: '10.99.0.2' } as const
type Side = keyof typeof ADDRESSES

/** An overlay network of nebula, with an authority of its own; the far host is known by its public address. */
export async function startNebula(ends: Ends): Promise<Carrier> {
  requireProgram('nebula', 'nebula')
  const { stage, near, far, servicePort } = ends
  const file = (name: string) => join(stage.directory, `nebula-${name}`)
  const certify = (...args: readonly string[]) => near.machine.exec('nebula-cert', args)
  await certify('ca', '-name', 'bench', '-out-crt', file('ca.crt'), '-out-key', file('ca.key'))
  const start = async (side: Side) => {
    const [crt, key] = [file(`${side}.crt`), file(`${side}.key`)]
    const authority = ['-ca-crt', file('ca.crt'), '-ca-key', file('ca.key')]
    await certify('sign', ...authority, '-name', side, '-ip', `${ADDRESSES[side]}/24`, '-out-crt', crt, '-out-key', key)
    const config = { pki: { ca: file('ca.crt'), cert: crt, key }, ...network(side, far.machine.address) }
    // Nebula reads YAML, of which JSON is a part.
    await writeFile(file(`${side}.yml`), JSON.stringify(config))
    const started = ends[side].machine.spawn('nebula', ['-config', file(`${side}.yml`)])
    await started.waitForOutput(/Nebula interface is active/)
    return started.pid
  }
  const pids = [await start('far'), await start('near')]
  const target = { host: ADDRESSES.far, port: servicePort }
  await near.ask('first', { ...target, limitMs: 10_000 }, nothing)
  return through(ends, target, pids)
}

function network(side: Side, farAddress: string) {
  const anybody = [{ port: 'any', proto: 'any', host: 'any' }]
  return {
    static_host_map: side === 'near' ? { [ADDRESSES.far]: [`${farAddress}:${PORT}`] } : {},
    lighthouse: { am_lighthouse: side === 'far', hosts: side === 'near' ? [ADDRESSES.far] : [] },
    listen: { host: '0.0.0.0', port: PORT },
    tun: { dev: 'nebula' },
    firewall: { outbound: anybody, inbound: anybody },
  }
}
