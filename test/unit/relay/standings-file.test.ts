import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { createLog } from '../../../common/platform/log.ts'
import { chainsIn, fileOf, readStandings, STANDINGS_FILE, StandingsKeeper } from '../../../relay/standings-file.ts'
import { TestNetwork } from '../../relay/test-network.ts'
import { FakeClock } from '../fake-clock.ts'

const network = new TestNetwork()
const admin = generateKeyPair()
const CHAINS = [
  network.removal(generateKeyPair().id),
  network.byAdmin(admin, network.admin(admin.id), generateKeyPair().id, { version: 2 }),
]
const log = createLog({ level: 'error', style: 'words', write: () => undefined })

test('what was remembered is read as it was written, and of a damaged file what stands before the damage', t => {
  const file = fileOf(CHAINS)
  t.deepEqual(
    chainsIn(file).map(({ entry }) => entry.peer),
    CHAINS.map(({ entry }) => entry.peer),
  )
  for (let length = 0; length < file.length; length++) {
    t.is(chainsIn(file.subarray(0, length)).length, length < 227 ? 0 : 1)
  }
  t.deepEqual(chainsIn(Buffer.alloc(1_000)), [])
})

test('changes are written together, a moment after the first, and those that wait when the relay ends', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-'))
  t.teardown(() => rm(directory, { recursive: true }))
  t.deepEqual(await readStandings(directory, log), [])
  const clock = new FakeClock()
  let written = 0
  const keeper = new StandingsKeeper(directory, clock, log, () => {
    written++
    return fileOf(CHAINS)
  })
  keeper.changed()
  keeper.changed()
  t.is(clock.timers, 1)
  clock.advance(1_000)
  keeper.changed()
  await keeper.close()
  await keeper.close()
  t.deepEqual([written, clock.timers], [2, 0])
  t.deepEqual(await readFile(join(directory, STANDINGS_FILE)), fileOf(CHAINS))
  t.is((await readStandings(directory, log)).length, 2)
})
