import { LINES } from './lines.ts'
import type { Row } from './row.ts'
import { connect } from './rows/connect.ts'
import { datachannelBulk } from './rows/datachannel-bulk.ts'
import { firstByte } from './rows/first-byte.ts'
import { idle } from './rows/idle.ts'
import { lineRow } from './rows/line.ts'
import { program } from './rows/program.ts'
import { recovery } from './rows/recovery.ts'
import { relayCpu } from './rows/relay-cpu.ts'
import { relayMemory } from './rows/relay-memory.ts'
import { roundTrip } from './rows/round-trip.ts'
import { streamOpen } from './rows/stream-open.ts'
import { tcpBulk } from './rows/tcp-bulk.ts'
import { udxBulk } from './rows/udx-bulk.ts'

/** In the order of the budget table, then the comparison on several lines. */
export const ROWS: readonly Row[] = [
  tcpBulk,
  datachannelBulk,
  udxBulk,
  relayCpu,
  roundTrip,
  streamOpen,
  connect,
  firstByte,
  recovery,
  idle,
  relayMemory,
  program,
  ...LINES.map(lineRow),
]
