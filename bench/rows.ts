import type { Row } from './row.ts'
import { datachannelBulk } from './rows/datachannel-bulk.ts'
import { firstByte } from './rows/first-byte.ts'
import { idle } from './rows/idle.ts'
import { recovery } from './rows/recovery.ts'
import { relayCpu } from './rows/relay-cpu.ts'
import { relayMemory } from './rows/relay-memory.ts'
import { roundTrip } from './rows/round-trip.ts'
import { streamOpen } from './rows/stream-open.ts'
import { tcpBulk } from './rows/tcp-bulk.ts'

/** In the order of the budget table. */
export const ROWS: readonly Row[] = [
  tcpBulk,
  datachannelBulk,
  relayCpu,
  roundTrip,
  streamOpen,
  firstByte,
  recovery,
  idle,
  relayMemory,
]
