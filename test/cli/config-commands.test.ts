import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'ava'
import { culvert, temporaryHome } from './run-culvert.ts'

test.serial('init writes a config that check accepts and id agrees with', async t => {
  const file = join(await temporaryHome(t), 'attic', 'agent.json')
  const relayId = 'a'.repeat(52)
  const relays = ['--relay', 'https://relay.example.org', '--relay', `http://10.0.0.1:8080#${relayId}`]
  const made = await culvert(['init', '--config', file, '--name', 'attic', ...relays, '--json'])
  t.is(made.code, 0, made.err)
  const { id, name, config, stateDir, peers } = JSON.parse(made.out)
  t.regex(id, /^[a-z2-7]{52}$/)
  t.deepEqual([name, config, stateDir, peers], ['attic', file, join(file, '..', 'state'), { attic: { id } }])
  t.is((await stat(file)).mode & 0o777, 0o640)
  const written = JSON.parse(await readFile(file, 'utf8'))
  t.deepEqual(written.relays, [{ url: 'https://relay.example.org' }, { url: 'http://10.0.0.1:8080', id: relayId }])
  t.deepEqual(await culvert(['check', '--config', file]), { code: 0, out: `${file}: ok\n`, err: '' })
  t.deepEqual(JSON.parse((await culvert(['id', '--config', file, '--json'])).out), { id, name: 'attic' })
  t.is((await culvert(['id'], { CULVERT_CONFIG: file })).out, `${id}\n`)
})

const rootTest = process.geteuid?.() === 0 ? test.serial : test.serial.skip

rootTest("a root who lets nobody else see what he writes makes a config that the service's group reads", async t => {
  const file = join(await temporaryHome(t), 'attic', 'agent.json')
  const before = process.umask(0o077)
  const made = await culvert(['init', '--config', file, '--name', 'attic']).finally(() => process.umask(before))
  t.is(made.code, 0, made.err)
  t.is((await stat(file)).mode & 0o777, 0o640)
})

rootTest('what root makes in a state directory of somebody else is theirs, the network too', async t => {
  const home = await temporaryHome(t)
  await chmod(home, 0o755)
  const state = join(home, 'state')
  await mkdir(state, { mode: 0o700 })
  await chown(state, 4_711, 4_712)
  const file = join(home, 'agent.json')
  const made = await culvert(['init', '--config', file, '--name', 'attic'])
  t.is(made.code, 0, made.err)
  const files = ['network.key', 'network', 'network/keys', 'network/roster', 'identity.key']
  for (const name of files) t.like(await stat(join(state, name)), { uid: 4_711, gid: 4_712 }, name)
})

test.serial('version tells itself where it cannot tell of updates', async t => {
  const file = join(await temporaryHome(t), 'file')
  await writeFile(file, '')
  const told = await culvert(['version', '--home', file, '--json'])
  t.is(told.code, 0, told.err)
  t.is(JSON.parse(told.out).update, null)
})

test.serial('init makes a network of this device alone, and tells what to run next', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  const { code, out } = await culvert(['init', '--config', file, '--name', 'attic'])
  t.is(code, 0)
  t.regex(out, /It is the first device of a network of its own/)
  const key = join(dirname(file), 'state', 'network.key')
  t.true(out.includes(`Whoever has ${key}\n`))
  t.is((await stat(key)).mode & 0o777, 0o600)
  const before = await readFile(key, 'utf8')
  await rm(file)
  t.regex((await culvert(['init', '--config', file])).out, /It stays in the network that it belongs to/)
  t.is(await readFile(key, 'utf8'), before)
  t.regex(out, /No relay is set/)
  t.true(out.includes(`culvert agent --config ${file}\n`))
})

test.serial('init does not promise to start a service that is not there, and makes nothing then', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  const refused = await culvert(['init', '--start', '--config', file])
  t.is(refused.code, 2)
  t.regex(refused.err, /--start: no service runs with .* then run: culvert agent --config/)
  t.deepEqual(await readdir(dirname(file)), [])
})

test.serial('init warns at once of a relay that nothing vouches for', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  const { code, err } = await culvert(['init', '--config', file, '--relay', 'http://10.0.0.1:8080'])
  t.is(code, 0)
  t.regex(err, /agent\.json: warning: relays\[0]\.url: .*"id"/)
})

test.serial("check knows a relay's config, and a relay an agent's", async t => {
  const file = join(await temporaryHome(t), 'relay.json')
  await writeFile(file, '{ "listen": "0.0.0.0:8080", "admit": "anyone" }')
  t.deepEqual(await culvert(['check', '--config', file]), {
    code: 0,
    out: `${file}: ok, as the config of a relay\n`,
    err: '',
  })
  await writeFile(file, '{ "listen": "here", "admit": "anyone" }')
  const bad = await culvert(['check', '--config', file])
  t.is(bad.code, 2)
  t.regex(bad.err, /relay\.json: listen: "here" is no IP address with a port/)
  t.regex((await culvert(['agent', '--config', file])).err, /is a relay's config, not an agent's/)
  await writeFile(file, '{ "stateDir": "state", "peers": {}, "relays": [] }')
  const relay = await culvert(['relay', '--config', file])
  t.is(relay.code, 2)
  t.regex(relay.err, /is an agent's config, not a relay's/)
})

test.serial("check takes a file for a relay's by its keys, mistyped or not, and else by its name", async t => {
  const home = await temporaryHome(t)
  const [named, other] = [join(home, 'relay.json'), join(home, 'other.json')]
  await writeFile(other, '{ "lissten": "0.0.0.0:8080" }')
  const typo = await culvert(['check', '--config', other])
  t.is(typo.code, 2)
  t.is(typo.err, `culvert: ${other}: lissten: "lissten" is no known key; did you mean "listen"?\n`)
  await writeFile(named, '{ "log": { "level": "info" } }')
  t.is((await culvert(['check', '--config', named])).out, `${named}: ok, as the config of a relay\n`)
  await writeFile(named, '{ "stateDir": "s", "peers": {}, "nme": "x" }')
  t.regex((await culvert(['check', '--config', named])).err, /did you mean "name"/)
})

test.serial("check looks for the certificate that a relay's config names", async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'relay.json')
  const [cert, key] = [join(home, 'x.crt'), join(home, 'x.key')]
  await writeFile(file, JSON.stringify({ listen: '0.0.0.0:8443', tls: { cert, key } }))
  const { code, err } = await culvert(['check', '--config', file])
  t.is(code, 2)
  t.true(err.startsWith(`culvert: ${file}: tls.cert: ${cert} cannot be read (ENOENT`), err)
  t.regex(err, /; correct the path or the file's owner\n$/)
})

test.serial('init never overwrites a config', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, 'mine')
  const again = await culvert(['init', '--config', file, '--json'])
  t.is(again.code, 2)
  t.regex(again.err, /agent\.json is already there and is kept; edit it/)
  t.is(JSON.parse(again.out).error.code, 'usage')
  t.is(await readFile(file, 'utf8'), 'mine')
  const relay = await culvert(['init', '--config', file, '--relay', 'https://relay.example.org'])
  t.regex(relay.err, /is kept; write {"url":"https:\/\/relay\.example\.org"} into "relays" in it/)
  const directory = await culvert(['init', '--config', join(file, '..')])
  t.is(directory.code, 2)
  t.regex(directory.err, /culvert-cli-\w+ is a directory; name a file in it: --config \S+\/agent\.json\n$/)
})

test.serial('init refuses a bad name or relay before it makes anything', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  const bad = await culvert(['init', '--config', file, '--name', 'my attic', '--relay', 'relay.example.org'])
  t.is(bad.code, 2)
  t.regex(bad.err, /name: "my attic" is no name.*\n.*relays\[0]\.url: "relay\.example\.org" is no relay URL/)
  t.is((await culvert(['check', '--config', file])).code, 2)
})

test.serial('id makes the key pair if there is none yet, and never replaces a lost one', async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  await writeFile(file, '{ "stateDir": "state", "name": "pi" }')
  const first = await culvert(['id', '--config', file])
  t.is(first.code, 0)
  await rm(join(home, 'state', 'identity.key'))
  const lost = await culvert(['id', '--config', file])
  t.is(lost.code, 1)
  t.regex(lost.err, /^culvert: .*identity of this machine is lost/)
  t.is(lost.out, '')
})

test.serial('id works while other parts of the config have faults, and names those of its own', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, '{ "stateDir": "state", "relays": 7 }')
  t.is((await culvert(['id', '--config', file])).code, 0)
  await writeFile(file, '{ "stateDir": "" }')
  const bad = await culvert(['id', '--config', file])
  t.is(bad.code, 2)
  t.is(bad.err, `${file}: stateDir: "" is no directory; write "stateDir": "/var/lib/culvert"\n`)
})

test.serial('check names every fault with file, place, value and remedy, and exits with 2', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, '{ "stateDir": "s", "nme": "x", "services": { "ssh": { "target": "tcp:/x" } } }')
  const { code, out, err } = await culvert(['check', '--config', file])
  t.is(code, 2)
  t.is(out, '')
  t.deepEqual(err.trim().split('\n').sort(), [
    `${file}: nme: "nme" is no known key; did you mean "name"?`,
    `${file}: services.ssh.target: "tcp:/x" is no target; write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH"`,
  ])
  const json = await culvert(['check', '--config', file, '--json'])
  t.is(json.code, 2)
  t.deepEqual(
    JSON.parse(json.out)
      .error.faults.map((fault: { place: string }) => fault.place)
      .sort(),
    ['nme', 'services.ssh.target'],
  )
})

test.serial('the agent does not start on a bad config, and exits with 2', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, '{ "stateDir": "s", }')
  const { code, err } = await culvert(['agent', '--config', file])
  t.is(code, 2)
  t.is(err, `${file}: line 1, column 18: a comma stands before "}"; remove the comma\n`)
})

test.serial('a machine cannot be its own peer', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  const { id } = JSON.parse((await culvert(['init', '--config', file, '--name', 'attic', '--json'])).out)
  await writeFile(file, JSON.stringify({ stateDir: 'state', peers: { me: { id } } }))
  for (const command of ['check', 'agent']) {
    const { code, err } = await culvert([command, '--config', file])
    t.is(code, 2)
    t.regex(err, /peers\.me\.id: .* is this machine's own id/)
  }
})

const UNREADABLE: readonly (readonly [name: string, make: (file: string) => Promise<void>, message: RegExp])[] = [
  [
    'is not there',
    async () => undefined,
    /the file: does not exist; make it with "culvert init --config \S+ --relay 'URL#ID'"/,
  ],
  ['is a directory', async file => void (await mkdir(file)), /the file: is no regular file/],
  ['is no UTF-8', file => writeFile(file, Uint8Array.of(0x7b, 0xff)), /the file: is not UTF-8 text; save it as UTF-8/],
  ['is too long', file => writeFile(file, ' '.repeat(300_000)), /the file: has more than 262144 bytes/],
]

for (const [name, make, message] of UNREADABLE) {
  test.serial(`check says what to do when the file ${name}`, async t => {
    const file = join(await temporaryHome(t), 'agent.json')
    await make(file)
    const { code, err } = await culvert(['check', '--config', file])
    t.is(code, 2)
    t.regex(err, message)
  })
}

test.serial('check warns of a file that everyone may change', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, '{ "stateDir": "s" }')
  await chmod(file, 0o666)
  const { code, err, out } = await culvert(['check', '--config', file])
  t.is(code, 0)
  t.is(out, `${file}: ok\n`)
  t.is(err, `${file}: warning: the file: mode 666 lets every user of this machine change it; run: chmod o-w ${file}\n`)
})

test.serial('help, version and mistyped words', async t => {
  for (const args of [[], ['help'], ['--help'], ['-h'], ['help', '--help']]) {
    const { code, out, err } = await culvert(args)
    t.deepEqual([code, err], [0, ''])
    t.regex(out, /^culvert: reach your machines/)
  }
  t.regex((await culvert(['help', 'init'])).out, /^usage: culvert init \[OPTION\.\.\.]/)
  t.is((await culvert(['init', '--help'])).out, (await culvert(['help', 'init'])).out)
  t.regex(
    (await culvert(['--version'])).out,
    /^culvert \d+\.\d+\.\d+ \(not packaged, linux-\w+, Node \d+\.\d+\.\d+\)\n$/,
  )
  const word = await culvert(['stauts'])
  t.deepEqual([word.code, word.out], [2, ''])
  t.is(word.err, 'culvert: there is no command "stauts"; did you mean "culvert status"?\n')
  const flag = await culvert(['status', '--jsn'])
  t.is(flag.code, 2)
  t.regex(flag.err, /did you mean --json/)
  const json = await culvert(['ping', '--json'])
  t.is(json.code, 2)
  t.is(JSON.parse(json.out).error.code, 'usage')
})

test.serial('without an agent, commands that need one exit with 5', async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  await writeFile(file, '{ "stateDir": "state" }')
  const socket = join(home, 'state', 'agent.sock')
  const commands = [
    ['status'],
    ['peers'],
    ['ping', 'laptop'],
    ['connect', 'laptop/ssh'],
    ['forward', '2222', 'laptop/ssh'],
  ]
  for (const command of commands) {
    const { code, err, out } = await culvert([...command, '--config', file])
    t.deepEqual([command, code, out], [command, 5, ''])
    t.is(
      err,
      `culvert: no agent answers on ${socket}; start one with "culvert agent", or name its socket with --socket PATH\n`,
    )
  }
  const nowhere = await culvert(['status'], { CULVERT_CONFIG: join(home, 'none.json') })
  t.is(nowhere.code, 2)
  t.regex(nowhere.err, /none\.json: cannot be read \(ENOENT/)
  const json = await culvert(['status', '--json'], { CULVERT_SOCKET: join(home, 'x.sock') })
  t.deepEqual([json.code, JSON.parse(json.out).error.code], [5, 'agent-not-running'])
})

test.serial('an agent is looked for beside a config that is no JSON, and the fault is told first', async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  await writeFile(file, '{ "stateDir": "state", }')
  const fault = `${file}: line 1, column 22: a comma stands before "}"; remove the comma`
  const { code, err } = await culvert(['status', '--config', file])
  t.is(code, 5)
  const [first, second = ''] = err.split('\n')
  t.is(first, fault)
  t.true(second.startsWith(`culvert: no agent answers on ${join(home, 'state', 'agent.sock')};`), second)
  const report = JSON.parse((await culvert(['doctor', '--config', file, '--json'])).out)
  const codes = report.findings.map((found: { code: string }) => found.code)
  t.deepEqual(codes.slice(0, 2), ['config-invalid', 'agent-not-running'])
})
