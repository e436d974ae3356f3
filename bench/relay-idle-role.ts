import { systemClock } from '../common/platform/clock.ts'
import { generateKeyPair } from '../common/platform/ed25519.ts'
import { createLog } from '../common/platform/log.ts'
import { systemRandom } from '../common/platform/random.ts'
import { relayOptionsOf } from '../relay/options.ts'
import { startRelay } from '../relay/relay.ts'

// The relay of the idle benchmark: prints its port, and on each line of input its resident bytes after a collection.

const limits = { connectionsPerAddress: 100_000, connections: 100_000, handshakesPerSecond: 100_000 }
const parsed = relayOptionsOf({ listen: '127.0.0.1:0', stun: false, limits })
if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults))
const log = createLog({ level: 'error', style: 'words', write: line => process.stderr.write(line) })
const relay = await startRelay(parsed.options, {
  clock: systemClock,
  random: systemRandom,
  log,
  key: generateKeyPair(),
})
process.stdout.write(`${relay.http.port}\n`)
process.stdin.on('data', () => {
  // Three times: sockets are freed in the first, their finalizers' garbage in the next.
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  process.stdout.write(`${relay.status().residentBytes} ${relay.status().lines}\n`)
})
