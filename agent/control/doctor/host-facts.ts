import { readdir, readFile } from 'node:fs/promises'
import type { Clock } from '../../../common/platform/clock.ts'
import { deadline } from '../../../common/platform/clock.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import { dialTcp } from '../../../common/platform/tcp.ts'
import { readDefaultGateways } from '../../nat/default-gateway.ts'

/** What the machine itself may be short of. */
export interface HostFacts {
  /** Undefined where the system does not tell. */
  readonly files: { readonly limit: number; readonly open: number } | undefined
  readonly listening: boolean
  readonly tcpPort: number
  /** Of the interface that leads outside. */
  readonly mtu: { readonly interfaceName: string; readonly bytes: number } | undefined
  readonly addresses: readonly InterfaceAddress[]
}

const CONNECT_MS = 1_000

export async function hostFacts(
  tcpPort: number,
  { addresses, clock, signal }: { addresses: readonly InterfaceAddress[]; clock: Clock; signal: AbortSignal },
): Promise<HostFacts> {
  const [files, mtu, listening] = await Promise.all([fileLimit(), outsideMtu(), answersOn(tcpPort, clock, signal)])
  return { files, mtu, listening, tcpPort, addresses }
}

async function fileLimit(): Promise<HostFacts['files']> {
  const limits = await textOf('/proc/self/limits')
  const soft = /^Max open files +(\d+|unlimited)/m.exec(limits)?.[1]
  if (soft === undefined) return undefined
  const open = await readdir('/proc/self/fd').catch(() => [])
  return { limit: soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft), open: open.length }
}

async function outsideMtu(): Promise<HostFacts['mtu']> {
  const interfaceName = readDefaultGateways()[0]?.interfaceName
  if (interfaceName === undefined || !/^[\w.-]{1,15}$/.test(interfaceName)) return undefined
  const bytes = Number.parseInt(await textOf(`/sys/class/net/${interfaceName}/mtu`), 10)
  return Number.isInteger(bytes) ? { interfaceName, bytes } : undefined
}

/** Systems without /proc or /sys tell nothing, which is no fault of theirs. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return ''
  }
}

async function answersOn(port: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const limit = deadline(clock, CONNECT_MS, signal)
  try {
    const socket = await dialTcp({ address: '127.0.0.1', port }, { signal: limit.signal })
    socket.destroy()
    return true
  } catch {
    return false
  } finally {
    limit.done()
  }
}
