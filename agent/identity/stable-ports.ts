import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asCulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'

const PORTS_FILE = 'ports.json'
/**
 * Above what servers commonly use, and below the ports that Linux gives to outgoing connections (32768 and up): one of
 * those, or one that lingers after its end, would hold our port when we start again. Ends are not included.
 */
const LOW = 20_000
const HIGH = 32_000
/** Kept ports of earlier versions go up to here. */
const HIGHEST_KEPT = 60_000

export type Transport = 'tcp' | 'udp'

/** The ports that stand for `listen` 0: random, and the same on every start, so that port mappings and peers find us. */
export interface StablePorts {
  port(transport: Transport): number
  /** Chooses another port, for when the present one is in use, and keeps it. */
  replace(transport: Transport): Promise<number>
}

/** Reads the kept ports of a state directory, or chooses and keeps new ones. A damaged file is only a warning. */
export async function openStablePorts(
  stateDir: string,
  context: { readonly random: Random; readonly log: Log },
): Promise<StablePorts> {
  const path = join(stateDir, PORTS_FILE)
  const kept = await readPorts(path, context.log)
  const choose = () => context.random.integer(LOW, HIGH)
  const ports = { tcp: kept?.tcp ?? choose(), udp: kept?.udp ?? choose() }
  const keep = async () => {
    try {
      await writeFileAtomic(path, `${JSON.stringify(ports)}\n`, 0o600)
    } catch (thrown) {
      // On a full or read-only disk an agent that is reached at other ports next time is better than none.
      context.log.warn(`cannot write ${path}; other ports are chosen at the next start`, { reason: reasonOf(thrown) })
    }
  }
  if (kept === undefined) await keep()
  return {
    port: transport => ports[transport],
    async replace(transport) {
      const old = ports[transport]
      while (ports[transport] === old) ports[transport] = choose()
      await keep()
      return ports[transport]
    },
  }
}

async function readPorts(path: string, log: Log): Promise<{ readonly tcp: number; readonly udp: number } | undefined> {
  try {
    const ports = decodePorts(await readFile(path, 'utf8'))
    if (ports === undefined) log.warn(`${path} was damaged; other ports are chosen`)
    return ports
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined
    throw asCulvertError(thrown, 'io', `cannot read ${path}`)
  }
}

/** The ports in the text of a ports file, or undefined when it is damaged. */
export function decodePorts(text: string): { readonly tcp: number; readonly udp: number } | undefined {
  const match = /^\{"tcp":(\d{5}),"udp":(\d{5})\}\n$/.exec(text)
  const [tcp, udp] = [Number(match?.[1]), Number(match?.[2])]
  const fits = (port: number) => port >= LOW && port < HIGHEST_KEPT
  return fits(tcp) && fits(udp) ? { tcp, udp } : undefined
}
