import { join } from 'node:path'
import { createFile } from '../../agent/identity/create-file.ts'
import { loadOrCreateIdentity } from '../../agent/identity/identity.ts'
import { openStablePorts } from '../../agent/identity/stable-ports.ts'
import { openAddressBook } from '../../agent/rendezvous/address-book-file.ts'
import { writeOwnRecord } from '../../agent/rendezvous/own-record-file.ts'
import { openPathMemory } from '../../agent/session/path-memory-file.ts'
import { foundNetwork, HomeNetwork } from '../../agent/trust/home-network.ts'
import { signAddressRecord } from '../../common/platform/address-record-proof.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { loadRelayKey } from '../../relay/relay-key.ts'

// state-writer.ts DIRECTORY ROUNDS: writes what agents and relays write, the first time and again, and tells each identity,
// the number of each address record, the network and how many are in it once it can be relied on.

const [directory = '', rounds = '1'] = process.argv.slice(2)
const log = createLog({ level: 'error', style: 'words', write: text => void process.stderr.write(text) })

for (let round = 1; round <= Number(rounds); round++) {
  const home = join(directory, String(round))
  const stateDir = join(home, 'state')
  const identity = await loadOrCreateIdentity(stateDir, { log })
  const { id } = identity
  const ports = await openStablePorts(stateDir, { random: systemRandom, log })
  await createFile(join(home, 'agent.json'), `${JSON.stringify({ stateDir })}\n`, 0o640)
  process.stdout.write(`agent ${round} ${id}\n`)
  const { memory, close } = await openPathMemory({
    stateDir,
    clock: systemClock,
    log,
    network: () => `network ${round}`,
  })
  memory.learn(id, { way: 'none' })
  await close()
  for (let again = 0; again < 2; again++) {
    const sequence = Date.now() + again
    const bytes = signAddressRecord({ sequence, places: [], relays: [], candidates: [] }, identity)
    await writeOwnRecord(stateDir, bytes, log)
    process.stdout.write(`record ${round} ${sequence}\n`)
    const everybody = { isTrusted: () => true, isPinned: () => false, onNew: () => undefined }
    const addresses = await openAddressBook({ stateDir, clock: systemClock, log }, everybody)
    addresses.book.take(bytes, 'peer')
    await addresses.close()
  }
  await ports.replace('tcp')
  const place = { stateDir, identity, clock: systemClock, random: systemRandom, log, onChange: () => undefined }
  if (!(await HomeNetwork.open(place)).current) await foundNetwork(place, 'attic', place)
  const network = await HomeNetwork.open(place)
  process.stdout.write(`network ${round} ${network.current?.id}\n`)
  network.current?.admit({ peer: generateKeyPair().id, name: 'office', roles: [], notAfter: 0 })
  await network.save()
  process.stdout.write(`members ${round} ${[...(network.current?.members(true) ?? [])].length}\n`)
  const relay = await loadRelayKey(join(home, 'relay'))
  process.stdout.write(`relay ${round} ${relay.id}\n`)
}
