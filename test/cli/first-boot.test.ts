import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { INVITE, INVITE_TEXT } from '../vectors/invites.ts'
import { culvert, temporaryHome } from './run-culvert.ts'

async function card(t: ExecutionContext) {
  const home = await temporaryHome(t)
  const boot = join(home, 'boot')
  await mkdir(boot)
  const file = join(boot, 'culvert.json')
  const config = join(home, 'agent.json')
  const take = (part: unknown) =>
    writeFile(file, typeof part === 'string' ? part : JSON.stringify(part)).then(() =>
      culvert(['first-boot', '--file', file, '--config', config]),
    )
  const note = async (name: string) => readFile(join(boot, name), 'utf8')
  return { home, boot, file, config, take, note }
}

test('the file is taken in, erased, and the peer id stands in its place', async t => {
  const { boot, config, take, note } = await card(t)
  const part = { name: 'attic', stateDir: 'state', services: { web: { target: 'tcp://127.0.0.1:80' } } }
  const first = await take(part)
  t.is(first.code, 0, first.err)
  t.deepEqual(JSON.parse(await readFile(config, 'utf8')), part)
  t.is((await stat(config)).mode & 0o777, 0o640)
  t.deepEqual(await readdir(boot), ['culvert.json.taken.txt'])
  const { out: id } = await culvert(['id', '--config', config])
  t.true((await note('culvert.json.taken.txt')).includes(`  "attic": { "id": "${id.trim()}" }\r\n`))

  t.is((await take({ peers: { tv: { id: `${'k'.repeat(51)}a` } } })).code, 0)
  t.deepEqual(JSON.parse(await readFile(config, 'utf8')), { ...part, peers: { tv: { id: `${'k'.repeat(51)}a` } } })
  t.is((await culvert(['id', '--config', config])).out, id)
})

test('a join code goes to where the agent finds it, its relays into the config, and nothing of it stays on the card', async t => {
  const { home, boot, config, take, note } = await card(t)
  const taken = await take({ join: INVITE_TEXT, stateDir: 'state', relays: [{ url: 'https://mine.example' }] })
  t.is(taken.code, 0, taken.err)
  t.false(taken.err.includes(INVITE_TEXT))
  t.deepEqual(JSON.parse(await readFile(config, 'utf8')), {
    stateDir: 'state',
    relays: [{ url: 'https://mine.example' }, ...INVITE.relays],
  })
  const kept = join(home, 'state', 'join.code')
  t.is(await readFile(kept, 'utf8'), `${INVITE_TEXT}\n`)
  t.is((await stat(kept)).mode & 0o777, 0o600)
  t.deepEqual(await readdir(boot), ['culvert.json.taken.txt'])
  t.regex(await note('culvert.json.taken.txt'), /gets into the network of the join code by itself/)

  const damaged = await take({ join: INVITE_TEXT.slice(0, -1) })
  t.is(damaged.code, 2)
  t.regex(damaged.err, /join: \(the join code is damaged: its check sum does not fit.*\); write the line that/)
  t.false((await note('culvert.json.error.txt')).includes(INVITE_TEXT.slice(0, 60)))
})

test('a faulty file stays, changes nothing, and the faults stand beside it until it is mended', async t => {
  const { boot, config, take, note } = await card(t)
  const bad = await take({ nam: 'attic', stateDir: 'state' })
  t.is(bad.code, 2)
  t.regex(bad.err, /culvert\.json: nam: "nam" is no known key; did you mean "name"\?/)
  t.deepEqual(await readdir(boot), ['culvert.json', 'culvert.json.error.txt'])
  t.regex(await note('culvert.json.error.txt'), /\r\n {2}nam: "nam" is no known key; did you mean "name"\?\r\n/)
  await t.throwsAsync(stat(config), { code: 'ENOENT' })

  const written = (await stat(join(boot, 'culvert.json.error.txt'))).ino
  await take({ nam: 'attic', stateDir: 'state' })
  t.is((await stat(join(boot, 'culvert.json.error.txt'))).ino, written)

  t.is((await take('\u00ff\u00fe{')).code, 2)
  t.is((await take({ name: 'attic', stateDir: 'state' })).code, 0)
  t.deepEqual(await readdir(boot), ['culvert.json.taken.txt'])
})

test("the device's own id is refused as a peer's", async t => {
  const { config, take } = await card(t)
  await take({ name: 'attic', stateDir: 'state' })
  const { out: id } = await culvert(['id', '--config', config])
  const before = await readFile(config, 'utf8')
  const refused = await take({ peers: { other: { id: id.trim() } } })
  t.is(refused.code, 2)
  t.regex(refused.err, /this machine's own id/)
  t.is(await readFile(config, 'utf8'), before)
})

test('a fault of the config that is there is told, and the file waits', async t => {
  const { boot, config, take, note } = await card(t)
  await writeFile(config, '{ "stateDir": 7 }')
  t.is((await take({ name: 'attic' })).code, 2)
  t.regex(await note('culvert.json.error.txt'), /What is wrong in \S+agent\.json, the config that is there already:/)
  t.deepEqual(await readdir(boot), ['culvert.json', 'culvert.json.error.txt'])
})

test('an erasure that a power cut ended is finished, and without a file there is nothing to do', async t => {
  const { boot, file, config, take } = await card(t)
  t.is((await take('\0'.repeat(512))).code, 0)
  t.deepEqual(await readdir(boot), [])
  t.is((await culvert(['first-boot', '--file', file, '--config', config])).code, 2)
  const nothing = await culvert(['first-boot', '--config', config])
  t.is(nothing.code, 0)
  t.regex(nothing.err, /nothing to take in/)
})

// Root may write everywhere.
const userTest = process.getuid?.() === 0 ? test.skip : test

userTest('a card that takes no writes does not keep the config out', async t => {
  const { boot, file, config } = await card(t)
  await writeFile(file, JSON.stringify({ name: 'attic', stateDir: '../state' }))
  await chmod(boot, 0o500)
  const outcome = await culvert(['first-boot', '--file', file, '--config', config])
  await chmod(boot, 0o700)
  t.is(outcome.code, 0)
  t.regex(outcome.err, /it cannot be erased, so what is secret in it stays there/)
})
