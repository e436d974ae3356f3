import { mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { foundNetwork, HomeNetwork, keepJoinedNetwork } from '../../../../agent/trust/home-network.ts'
import type { NetworkChange } from '../../../../agent/trust/network.ts'
import { decodeNetworkFile, encodeNetworkFile } from '../../../../agent/trust/network-file.ts'
import { readNetwork } from '../../../../agent/trust/network-store.ts'
import { decodeRosterFile, encodeRosterFile } from '../../../../agent/trust/roster-file.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { FakeClock } from '../../fake-clock.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'
import { keyOf, ROOT, say } from './statements.ts'

const ME = keyOf(1)
const SECRET = new Uint8Array(32).fill(3)
const STATEMENTS = [1, 4, 5, 6].map(n => say(ROOT, { peer: keyOf(n).id, version: 1, roles: ['family'] }))
const REMOVAL = say(ROOT, { peer: keyOf(4).id, version: 2, removed: true })

async function scene(t: ExecutionContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-network-'))
  t.teardown(() => rm(stateDir, { recursive: true }))
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const clock = new FakeClock()
  const place = { stateDir, identity: ME }
  const changes: NetworkChange[] = []
  const options = {
    ...place,
    clock,
    random: systemRandom,
    log,
    onChange: (change: NetworkChange) => changes.push(change),
  }
  const roster = join(stateDir, 'network', 'roster')
  return { stateDir, lines, log, clock, place, changes, roster, open: () => HomeNetwork.open(options) }
}

test('a network is founded once, by a device that holds its key and is its admin', async t => {
  const { place, clock, stateDir, lines, open } = await scene(t)
  const { network } = await foundNetwork(place, 'attic', { clock, random: systemRandom })
  const home = (await open()).current
  t.is(home?.id, network)
  t.is(home?.own, 'member')
  t.true(home?.isRoot && home.isAdmin)
  t.deepEqual(
    [...(home?.members(true) ?? [])].map(({ name, admin }) => ({ name, admin })),
    [{ name: 'attic', admin: true }],
  )
  t.is((await stat(join(stateDir, 'network.key'))).mode & 0o777, 0o600)
  t.is((await stat(join(stateDir, 'network', 'keys'))).mode & 0o777, 0o600)
  await t.throwsAsync(foundNetwork(place, 'attic', { clock, random: systemRandom }), { code: 'usage' })
  t.deepEqual(lines, [])
})

test('a link in the place of a file of the network is not followed, wherever it leads', async t => {
  const { place, clock, stateDir, log } = await scene(t)
  await foundNetwork(place, 'attic', { clock, random: systemRandom })
  for (const file of ['network.key', 'network/keys', 'network/roster']) {
    const path = join(stateDir, file)
    await rename(path, `${path}.away`)
    for (const target of ['/dev/zero', `${path}.away`]) {
      await symlink(target, path)
      await t.throwsAsync(readNetwork(place, log), { code: 'io', message: /is a symbolic link; put the file itself/ })
      await rm(path)
    }
    await rename(`${path}.away`, path)
  }
  t.truthy(await readNetwork(place, log))
})

test('one who is let in keeps the network, and what cannot prove that is not kept', async t => {
  const { place, stateDir, open } = await scene(t)
  const keys = { network: ROOT.id, secret: SECRET }
  const foreign = say(keyOf(9), { peer: ME.id, version: 1, network: keyOf(9).id })
  await t.throwsAsync(keepJoinedNetwork(place, keys, [...STATEMENTS.slice(1), foreign]), { code: 'wire-malformed' })
  t.deepEqual(await readdir(stateDir), [])
  await keepJoinedNetwork(place, keys, STATEMENTS)
  const home = (await open()).current
  t.is(home?.own, 'member')
  t.false(home?.isAdmin)
  t.deepEqual(home?.secret, SECRET)
  t.is([...(home?.members() ?? [])].length, 3)
})

test('a running agent enters a network, and what changes in it is on the disk soon', async t => {
  const { clock, changes, open, roster } = await scene(t)
  const home = await open()
  t.is(home.current, undefined)
  const network = await home.join({ network: ROOT.id, secret: SECRET }, STATEMENTS)
  t.is(changes.length, 1)
  await t.throwsAsync(home.join({ network: ROOT.id, secret: SECRET }, STATEMENTS), { code: 'usage' })
  await network.merge([REMOVAL], keyOf(5).id)
  t.deepEqual(
    changes[1]?.taken.map(({ id }) => id),
    [REMOVAL.id],
  )
  t.is(clock.timers, 1)
  await home.save()
  t.is(clock.timers, 0)
  t.true((await open()).current?.wasRemoved(keyOf(4).id))
  const bytes = await readFile(roster)
  t.is(decodeRosterFile(bytes, new Uint8Array(32)).statements.length, 0)
})

test('what could not be written is written by the next save', async t => {
  const { open, roster } = await scene(t)
  const home = await open()
  const network = await home.join({ network: ROOT.id, secret: SECRET }, STATEMENTS)
  await network.merge([REMOVAL], keyOf(5).id)
  const was = await readFile(roster)
  await rm(roster)
  await mkdir(roster)
  await home.save()
  t.regex(home.problem ?? '', /cannot write/)
  await rmdir(roster)
  await writeFile(roster, was)
  await home.save()
  t.is(home.problem, undefined)
  t.true((await open()).current?.wasRemoved(keyOf(4).id))
})

test('who was removed and is taken in again by the root enters anew, and a lost roster is no hindrance', async t => {
  const { open, roster } = await scene(t)
  const keys = { network: ROOT.id, secret: SECRET }
  const home = await open()
  const first = await home.join(keys, STATEMENTS)
  await first.merge([say(ROOT, { peer: ME.id, version: 2, removed: true })], keyOf(5).id)
  t.is(first.own, 'removed')
  await t.throwsAsync(home.join(keys, STATEMENTS), { code: 'wire-malformed' })
  t.is(home.current?.own, 'removed')
  const again = await home.join(keys, [say(ROOT, { peer: ME.id, version: 3 })])
  t.is(again.own, 'member')
  t.is([...again.members()].length, 3)
  await first.merge([REMOVAL], keyOf(5).id)
  await home.save()
  t.is((await open()).current?.own, 'member')
  await writeFile(roster, '')
  await rm(`${roster}.before`, { force: true })
  const lost = await open()
  t.is(lost.current?.own, 'unknown')
  t.is((await lost.join(keys, STATEMENTS)).own, 'member')
})

test('a roster that was cut off anywhere gives what is whole of it, and says what is missing', t => {
  const bytes = encodeRosterFile(STATEMENTS, SECRET)
  t.deepEqual(decodeRosterFile(bytes, SECRET), { statements: STATEMENTS, damage: undefined })
  let most = 0
  for (let length = 0; length < bytes.length; length++) {
    const { statements, damage } = decodeRosterFile(bytes.subarray(0, length), SECRET)
    t.truthy(damage)
    t.true(statements.length >= most)
    most = statements.length
    t.deepEqual(statements, STATEMENTS.slice(0, most))
  }
  t.is(most, STATEMENTS.length)
})

test('a roster that was damaged anywhere loses no more than the damaged entries', t => {
  const bytes = encodeRosterFile(STATEMENTS, SECRET)
  const ids = new Set(STATEMENTS.map(({ id }) => id))
  for (let at = 0; at < bytes.length; at += 3) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ 0x20
    const { statements, damage } = decodeRosterFile(damaged, SECRET)
    t.truthy(damage)
    t.true(statements.length >= STATEMENTS.length - 1)
  }
  for (let seed = 0; seed < 2_000; seed++) {
    const { statements } = decodeRosterFile(mutateBytes(bytes, seededDraw(seed)), SECRET)
    t.true(statements.every(({ id }) => ids.has(id)))
  }
})

test('a damaged roster is told, and what the file before it has is saved, too', async t => {
  const { place, open, roster, lines } = await scene(t)
  await keepJoinedNetwork(place, { network: ROOT.id, secret: SECRET }, STATEMENTS)
  const home = await open()
  await home.current?.merge([REMOVAL], keyOf(5).id)
  await home.save()
  await writeFile(roster, (await readFile(roster)).subarray(0, 100))
  const again = await open()
  t.is([...(again.current?.members(true) ?? [])].length, 4)
  t.regex(again.current?.damage ?? '', /was damaged: 4 entries could be saved; other members bring back the rest/)
  t.true(lines.some(line => line.includes('was damaged')))
  await rm(join(place.stateDir, 'network', 'roster.before'))
  await writeFile(roster, '')
  t.is((await open()).current?.own, 'unknown')
})

test('the keys of the network are restored from their copy, and an agent without them runs on and says so', async t => {
  const { place, stateDir, open, lines, log } = await scene(t)
  await keepJoinedNetwork(place, { network: ROOT.id, secret: SECRET }, STATEMENTS)
  const path = join(stateDir, 'network', 'keys')
  await writeFile(path, 'culvert')
  t.is((await open()).current?.own, 'member')
  t.true(lines.some(line => line.includes('restored from its copy')))
  t.is((await readNetwork(place, log))?.network, ROOT.id)
  await writeFile(path, '')
  await rm(join(stateDir, 'network', 'keys.copy'))
  t.is((await open()).current, undefined)
  t.true(lines.some(line => line.includes('put back a good copy of it')))
})

test('the file of the keys is read as it was written, and one that was changed is not', t => {
  const text = encodeNetworkFile({ network: ROOT.id, secret: SECRET })
  t.deepEqual(decodeNetworkFile(text), { network: ROOT.id, secret: SECRET })
  for (let at = 0; at < text.length; at++) {
    const changed = `${text.slice(0, at)}${text[at] === 'a' ? 'b' : 'a'}${text.slice(at + 1)}`
    t.is(decodeNetworkFile(changed), undefined)
    t.is(decodeNetworkFile(text.slice(0, at)), undefined)
  }
})
