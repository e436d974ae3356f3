import { readFile } from 'node:fs/promises'

/** Segments that the kernel's TCP has sent on all connections of this machine, and those of them that it sent again. */
export interface TcpSegments {
  readonly sent: number
  readonly again: number
}

/** Of fewer, a single one that was lost says nothing. */
const MIN_SEGMENTS = 50
const SNMP = '/proc/net/snmp'
const WMEM = '/proc/sys/net/ipv4/tcp_wmem'

/** Undefined where there is no such file, as on other systems than Linux. */
export async function readTcpSegments(): Promise<TcpSegments | undefined> {
  try {
    return tcpSegmentsIn(await readFile(SNMP, 'utf8'))
  } catch {
    return undefined
  }
}

/** The file has two lines for each protocol: names, then values (RFC 4022 tells what they mean). */
export function tcpSegmentsIn(text: string): TcpSegments | undefined {
  const [names = [], values = []] = text
    .split('\n')
    .filter(line => line.startsWith('Tcp:'))
    .map(line => line.split(' '))
  const counter = (name: string) => Number(values[names.indexOf(name)])
  const [sent, again] = [counter('OutSegs'), counter('RetransSegs')]
  return Number.isSafeInteger(sent) && Number.isSafeInteger(again) ? { sent, again } : undefined
}

/** The most that one connection may keep, sent or not; undefined where the kernel does not tell. */
export async function readTcpSendBuffer(): Promise<number | undefined> {
  try {
    return tcpSendBufferIn(await readFile(WMEM, 'utf8'))
  } catch {
    return undefined
  }
}

/** Three numbers: the least, the first, the most. */
export function tcpSendBufferIn(text: string): number | undefined {
  const most = Number(text.trim().split(/\s+/)[2])
  return Number.isSafeInteger(most) && most > 0 ? most : undefined
}

/** The share sent again between two looks; undefined when too little was sent to tell. */
export function resentShare(before: TcpSegments | undefined, after: TcpSegments | undefined): number | undefined {
  if (!before || !after) return undefined
  const sent = after.sent - before.sent
  return sent >= MIN_SEGMENTS ? (after.again - before.again) / sent : undefined
}
