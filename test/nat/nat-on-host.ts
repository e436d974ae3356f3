/**
 * Runs the agent's view of the NAT on a host of the lab: `node nat-on-host.ts TCP UDP`. Each line on stdout is a JSON
 * document: a report after every change, or a line of the log. A line on stdin ends it, mappings deleted.
 */
import { createInterface } from 'node:readline'
import { startNat } from '../../agent/nat/nat.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import { listInterfaceAddresses } from '../../common/platform/network-interfaces.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { peerIdFromBytes } from '../../common/wire/peer-id.ts'

const [tcpPort = 0, udpPort = 0] = process.argv.slice(2).map(Number)
const say = (document: unknown) => process.stdout.write(`${JSON.stringify(document)}\n`)

const nat = await startNat({
  clock: systemClock,
  random: systemRandom,
  log: createLog({ level: 'debug', style: 'words', write: line => void say({ log: line.trim() }) }),
  tcpPort,
  udpPort,
  acceptsUdp: false,
  portMapping: true,
  interfaces: listInterfaceAddresses,
  wanted: () => false,
  online: () => true,
  ownId: peerIdFromBytes(new Uint8Array(32)),
  mappingSecret: new Uint8Array(32),
})
const report = () => say({ report: nat.report(), candidates: nat.candidates() })
nat.onChange(report)
report()
createInterface({ input: process.stdin }).once('line', async () => {
  const startedAt = systemClock.now()
  await nat.close()
  say({ closedMs: systemClock.now() - startedAt })
  process.exit(0)
})
