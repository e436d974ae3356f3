import test from 'ava'
import { type ConfigFault, formatFault } from '../../../../agent/config/config-fault.ts'
import { ownIdFaults, parseConfig } from '../../../../agent/config/parse-config.ts'
import { keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import { mutate, seeded } from './seeded-mutations.ts'

const FILE = '/etc/culvert/agent.json'
const LAPTOP = keyPairFromSeed(new Uint8Array(32).fill(1)).id
const ATTIC = keyPairFromSeed(new Uint8Array(32).fill(2)).id

const FULL = {
  $schema: 'https://example.org/agent.schema.json',
  name: 'attic',
  stateDir: '/var/lib/culvert',
  controlSocket: '/run/culvert/agent.sock',
  relays: [{ url: 'https://relay.example.org' }, { url: 'http://10.0.0.1:8080', id: ATTIC }],
  peers: { laptop: { id: LAPTOP, keep: true } },
  listen: { tcp: 0, udp: 4000 },
  nat: {
    portMapping: true,
    probeBudget: { entries: 800, packetsPerS: 100 },
    stun: ['stun.example.org:3478', '[2001:db8::1]:3478'],
  },
  lan: { discovery: true },
  dht: { enabled: true, bootstrap: ['192.0.2.1:6881'] },
  peerRelay: { enabled: true, mbit: 20, gbPerDay: 50, pipes: 8 },
  relay: { graceMs: 1500 },
  services: { ssh: { target: 'tcp://127.0.0.1:22', allow: ['*', 'peer:laptop'] }, db: { target: 'unix:/run/db.sock' } },
  forwards: [
    { listen: 'tcp://127.0.0.1:2222', to: 'laptop/ssh' },
    { listen: 'unix:/run/x.sock', to: `${LAPTOP}/db` },
  ],
  log: { level: 'info' },
}

function faultsIn(text: string): readonly ConfigFault[] {
  const result = parseConfig(text, FILE, 'pi')
  return result.ok ? [] : result.faults
}

test('reads a full config as it is written', t => {
  const result = parseConfig(JSON.stringify(FULL), FILE, 'pi')
  if (!result.ok) return t.fail(result.faults.map(formatFault).join('\n'))
  const { $schema: _, ...expected } = FULL
  const db = { ...expected.services.db, allow: ['*'] }
  t.deepEqual(result.config as unknown, { ...expected, services: { ...expected.services, db } })
  t.deepEqual(result.warnings, [])
})

test('fills in every default when only the state directory is given', t => {
  const result = parseConfig('{ "stateDir": "/var/lib/culvert" }', FILE, "Anna's Pi.local")
  t.deepEqual(result.ok && (result.config as unknown), {
    name: 'Anna-s-Pi',
    stateDir: '/var/lib/culvert',
    controlSocket: '/run/culvert/agent.sock',
    relays: [],
    peers: {},
    listen: { tcp: 0, udp: 0 },
    nat: { portMapping: true, probeBudget: { entries: 1_500, packetsPerS: 200 }, stun: [] },
    lan: { discovery: true },
    dht: {
      enabled: false,
      bootstrap: ['router.bittorrent.com:6881', 'router.utorrent.com:6881', 'dht.transmissionbt.com:6881'],
    },
    peerRelay: { enabled: false, mbit: 10, gbPerDay: 5, pipes: 16 },
    relay: { graceMs: 1500 },
    services: {},
    forwards: [],
    log: { level: 'info' },
  })
})

test('takes relative paths from the directory of the file, and the socket into the state directory', t => {
  const result = parseConfig('{ "stateDir": "state" }', '/home/anna/culvert/agent.json')
  t.is(result.ok && result.config.stateDir, '/home/anna/culvert/state')
  t.is(result.ok && result.config.controlSocket, '/home/anna/culvert/state/agent.sock')
})

test('accepts a byte order mark, as Windows editors write it', t => {
  t.true(parseConfig('\uFEFF{ "stateDir": "/s" }', FILE).ok)
})

type Change = Readonly<Record<string, unknown>>
const FORWARD = { listen: 'tcp://127.0.0.1:2222', to: 'laptop/ssh' }
const LONG_PATH = `/${'x'.repeat(107)}`

/** Each row: what is changed in a good config, and the place, value, problem and remedy that are named. */
const FAULTS: readonly (readonly [
  change: Change,
  place: string,
  value: string | undefined,
  problem: RegExp,
  remedy: RegExp,
])[] = [
  [{ stateDir: undefined }, 'stateDir', undefined, /missing/, /"stateDir": "\/var\/lib\/culvert"/],
  [{ stateDir: 7 }, 'stateDir', '7', /no directory/, /write/],
  [{ stateDir: '' }, 'stateDir', '""', /no directory/, /write/],
  [{ name: 'my attic' }, 'name', '"my attic"', /no name/, /letters, digits/],
  [{ name: null }, 'name', 'null', /no name/, /letters/],
  [{ name: LAPTOP }, 'name', `"${LAPTOP}"`, /no name/, /peer id cannot/],
  [{ name: 'x'.repeat(64) }, 'name', `"${'x'.repeat(64)}"`, /no name/, /at most 63/],
  [{ controlSocket: true }, 'controlSocket', 'true', /no path/, /agent\.sock/],
  [{ controlSocket: LONG_PATH }, 'controlSocket', `"${LONG_PATH.slice(0, 76)}...`, /108 bytes.*at most 107/, /shorter/],
  [
    { stateDir: `${LONG_PATH}y`, controlSocket: undefined },
    'controlSocket',
    `"${LONG_PATH.slice(0, 76)}...`,
    /120 bytes/,
    /controlSocket/,
  ],
  [{ nme: 'x' }, 'nme', '"nme"', /no known key/, /mean "name"/],
  [{ realys: [] }, 'realys', '"realys"', /no known key/, /mean "relays"/],
  [{ graceMs: 1 }, 'graceMs', '"graceMs"', /no known key/, /belongs at relay\.graceMs/],
  [{ zebra: 1 }, 'zebra', '"zebra"', /no known key/, /keys known here are name, stateDir/],
  [{ 'strange key\n': 1 }, '["strange key\\n"]', '"strange key\\n"', /no known key/, /remove it/],
  [{ relays: 'https://x' }, 'relays', '"https://x"', /no list/, /\[ \.\.\. ]/],
  [{ relays: ['https://x'] }, 'relays[0]', '"https://x"', /no object/, /\{ \.\.\. }/],
  [{ relays: [{}] }, 'relays[0].url', undefined, /missing/, /https:\/\/HOST/],
  [
    { relays: [{ url: 'relay.example.org' }] },
    'relays[0].url',
    '"relay.example.org"',
    /no relay URL/,
    /https:\/\/HOST/,
  ],
  [{ relays: [{ url: 'ftp://x' }] }, 'relays[0].url', '"ftp://x"', /no relay URL/, /https/],
  [{ relays: [{ url: 'https://me:pw@x' }] }, 'relays[0].url', '"https://me:pw@x"', /no relay URL/, /without user/],
  [{ relays: [{ url: 'https://x#y' }] }, 'relays[0].url', '"https://x#y"', /no relay URL/, /without/],
  [
    { relays: [{ url: 'https://x', id: 'abc' }] },
    'relays[0].id',
    '"abc"',
    /no peer id/,
    /52 characters that the relay prints/,
  ],
  [{ relays: [{ url: 'https://x', ur: 1 }] }, 'relays[0].ur', '"ur"', /no known key/, /mean "url"/],
  [
    { relays: [{ url: 'https://x' }, { url: 'https://X/' }] },
    'relays[1].url',
    '"https://X/"',
    /same relay as relays\[0]/,
    /remove/,
  ],
  [{ peers: [], services: {} }, 'peers', '[]', /no object/, /\{ \.\.\. }/],
  [{ peers: { laptop: LAPTOP } }, 'peers.laptop', `"${LAPTOP}"`, /no object/, /\{ \.\.\. }/],
  [{ peers: { laptop: {} } }, 'peers.laptop.id', undefined, /missing/, /culvert id/],
  [
    { peers: { laptop: { id: LAPTOP.toUpperCase() } } },
    'peers.laptop.id',
    `"${LAPTOP.toUpperCase()}"`,
    /no peer id/,
    /culvert id/,
  ],
  [
    { peers: { laptop: { id: LAPTOP, keep: 'yes' } } },
    'peers.laptop.keep',
    '"yes"',
    /neither true nor false/,
    /without quotes/,
  ],
  [{ peers: { laptop: { id: LAPTOP, kep: true } } }, 'peers.laptop.kep', '"kep"', /no known key/, /mean "keep"/],
  [{ peers: { laptop: { id: LAPTOP }, 'a/b': { id: ATTIC } } }, 'peers["a/b"]', '"a/b"', /no name/, /letters/],
  [
    { peers: { laptop: { id: LAPTOP }, copy: { id: LAPTOP } } },
    'peers.copy.id',
    `"${LAPTOP}"`,
    /id of the peer "laptop" too/,
    /remove one/,
  ],
  [{ listen: { tcp: 65536 } }, 'listen.tcp', '65536', /no whole number from 0 to 65535/, /without quotes/],
  [{ listen: { tcp: '80' } }, 'listen.tcp', '"80"', /no whole number/, /without quotes/],
  [{ listen: { udp: 1.5 } }, 'listen.udp', '1.5', /no whole number/, /write/],
  [{ nat: { portMapping: 'upnp' } }, 'nat.portMapping', '"upnp"', /neither true nor false/, /true or false/],
  [{ nat: { stun: ['stun.example.org'] } }, 'nat.stun[0]', '"stun.example.org"', /no STUN server/, /HOST:PORT/],
  [{ nat: { stun: ['300.1.1.1:3478'] } }, 'nat.stun[0]', '"300.1.1.1:3478"', /no STUN server/, /HOST:PORT/],
  [{ dht: { bootstrap: ['router'] } }, 'dht.bootstrap[0]', '"router"', /no node of the DHT/, /HOST:PORT/],
  [{ lan: { discovry: false } }, 'lan.discovry', '"discovry"', /no known key/, /mean "discovery"/],
  [{ relay: { graceMs: 60_001 } }, 'relay.graceMs', '60001', /from 0 to 60000/, /write/],
  [{ relay: { graceMs: -1 } }, 'relay.graceMs', '-1', /from 0 to 60000/, /write/],
  [{ services: { ssh: {} } }, 'services.ssh.target', undefined, /missing/, /tcp:\/\/HOST:PORT/],
  [
    { services: { ssh: { target: 'tcp:/x' } } },
    'services.ssh.target',
    '"tcp:/x"',
    /is no target/,
    /"tcp:\/\/HOST:PORT", "udp:\/\/HOST:PORT" or "unix:\/PATH"/,
  ],
  [
    { services: { ssh: { target: 'tcp://127.0.0.1:0' } } },
    'services.ssh.target',
    '"tcp://127.0.0.1:0"',
    /no target/,
    /tcp/,
  ],
  [
    { services: { any: { target: 'socks5://127.0.0.1:1080' } } },
    'services.any.target',
    '"socks5://127.0.0.1:1080"',
    /no target/,
    /udp/,
  ],
  [
    { services: { db: { target: 'unix:relative' } } },
    'services.db.target',
    '"unix:relative"',
    /no target/,
    /unix:\/PATH/,
  ],
  [
    { services: { db: { target: `unix:${LONG_PATH}` } } },
    'services.db.target',
    `"unix:${LONG_PATH.slice(0, 71)}...`,
    /108 bytes/,
    /shorter/,
  ],
  [{ services: { ssh: { target: 'tcp://a:1', allow: '*' } } }, 'services.ssh.allow', '"*"', /no list/, /\[ \.\.\. ]/],
  [
    { services: { ssh: { target: 'tcp://a:1', allow: ['laptop'] } } },
    'services.ssh.allow[0]',
    '"laptop"',
    /names nobody/,
    /peer:NAME/,
  ],
  [{ services: { 'my ssh': { target: 'tcp://a:1' } } }, 'services["my ssh"]', '"my ssh"', /no name/, /letters/],
  [{ forwards: {} }, 'forwards', '{}', /no list/, /\[ \.\.\. ]/],
  [{ forwards: [{ to: 'laptop/ssh' }] }, 'forwards[0].listen', undefined, /missing/, /127\.0\.0\.1:PORT/],
  [
    { forwards: [{ ...FORWARD, listen: '127.0.0.1:2222' }] },
    'forwards[0].listen',
    '"127.0.0.1:2222"',
    /no address/,
    /tcp:\/\/127/,
  ],
  [{ forwards: [{ ...FORWARD, to: 'laptop' }] }, 'forwards[0].to', '"laptop"', /no peer and service/, /PEER\/SERVICE/],
  [{ forwards: [{ listen: 'udp://127.0.0.1:5353' }] }, 'forwards[0].to', undefined, /missing/, /PEER\/SERVICE/],
  [
    { forwards: [{ listen: 'socks5://127.0.0.1:1080', to: 'laptop/ssh' }] },
    'forwards[0].to',
    '"laptop/ssh"',
    /leads to all/,
    /SERVICE\.PEER\.culvert\.internal/,
  ],
  [
    { listen: { udp: 5353 }, forwards: [{ listen: 'udp://127.0.0.1:5353', to: 'laptop/dns' }] },
    'forwards[0].listen',
    '"udp://127.0.0.1:5353"',
    /taken by listen\.udp/,
    /another/,
  ],
  [
    { forwards: [FORWARD, FORWARD] },
    'forwards[1].listen',
    '"tcp://127.0.0.1:2222"',
    /taken by forwards\[0]/,
    /another/,
  ],
  [
    { forwards: [FORWARD, { ...FORWARD, listen: 'tcp://0.0.0.0:2222' }] },
    'forwards[1].listen',
    '"tcp://0.0.0.0:2222"',
    /taken by forwards\[0]/,
    /another/,
  ],
  [
    { listen: { tcp: 2222 }, forwards: [FORWARD] },
    'forwards[0].listen',
    '"tcp://127.0.0.1:2222"',
    /taken by listen\.tcp/,
    /another/,
  ],
  [
    { forwards: [{ ...FORWARD, listen: 'unix:/run/culvert/agent.sock' }] },
    'forwards[0].listen',
    '"unix:/run/culvert/agent.sock"',
    /taken by controlSocket/,
    /another/,
  ],
  [{ log: { level: 'trace' } }, 'log.level', '"trace"', /no log level/, /error, warn, info, debug/],
  [{ log: 'debug' }, 'log', '"debug"', /no object/, /\{ \.\.\. }/],
]

for (const [change, place, value, problem, remedy] of FAULTS) {
  test(`${place}: ${value ?? 'nothing'} ${problem.source}`, t => {
    const [fault, ...others] = faultsIn(JSON.stringify({ ...FULL, forwards: [], ...change }))
    if (!fault) return t.fail('no fault was found')
    t.deepEqual(others, [])
    t.is(fault.place, place)
    t.is(fault.value, value)
    t.regex(fault.problem, problem)
    t.regex(fault.remedy, remedy)
  })
}

test('tells line and column where the file is no JSON', t => {
  t.deepEqual(faultsIn('{\n  "stateDir": "/s",\n}').map(formatFault), [
    'line 2, column 19: a comma stands before "}"; remove the comma',
  ])
})

test('prints a fault as place, value, problem and remedy', t => {
  const [fault] = faultsIn('{ "stateDir": "/s", "services": { "ssh": { "target": "tcp:/x" } } }')
  t.is(
    fault && formatFault(fault),
    'services.ssh.target: "tcp:/x" is no target; write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH"',
  )
})

test('names a key that JSON.parse would drop without a word', t => {
  const [fault] = faultsIn('{ "stateDir": "/s", "peers": {}, "peers": {} }')
  t.is(fault && formatFault(fault), 'peers: "peers" is there twice; remove one of the two')
  t.is(faultsIn('{ "stateDir": "/s", "peers": { "__proto__": {} } }')[0]?.place, 'peers.__proto__')
})

test('reports every fault of a file at once, those between options too', t => {
  const places = faultsIn(
    JSON.stringify({
      nme: 1,
      relays: [{ url: 'x' }],
      services: { ssh: { target: 'y', allow: ['peer:nobody'] } },
      forwards: [{ listen: 'z', to: 'nobody/ssh' }],
    }),
  ).map(fault => fault.place)
  const expected = ['stateDir', 'relays[0].url', 'services.ssh.target', 'forwards[0].listen', 'nme']
  t.deepEqual([...places].sort(), [...expected].sort())
})

test('stops listing at 200 faults and says how many more there are', t => {
  const faults = faultsIn(JSON.stringify({ stateDir: '/s', relays: Array(1000).fill(1) }))
  t.is(faults.length, 201)
  t.regex(faults.at(-1)?.problem ?? '', /800 more faults/)
})

const WARNINGS: readonly (readonly [change: Change, warning: RegExp])[] = [
  [{ forwards: [{ ...FORWARD, listen: 'tcp://0.0.0.0:2222' }] }, /^forwards\[0]\.listen: .* every machine/],
  [{ forwards: [{ listen: 'socks5://192.168.1.2:1080' }] }, /^forwards\[0]\.listen: .* every service of every peer/],
  [{ services: { ssh: { target: 'tcp://a:1', allow: [] } } }, /^services\.ssh\.allow: \[] lets nobody in/],
  [{ services: { ssh: { target: 'tcp://a:1', allow: ['peer:nobody'] } } }, /^services\.ssh\.allow\[0]: .* a member/],
  [
    { services: { ssh: { target: 'tcp://a:1', allow: ['*', 'peer:labtop'] } } },
    /^services\.ssh\.allow\[1]: .* mean "peer:laptop"/,
  ],
  [{ forwards: [{ ...FORWARD, to: 'labtop/ssh' }] }, /^forwards\[0]\.to: .* mean "laptop\/ssh"/],
  [{ forwards: [{ ...FORWARD, to: `${ATTIC}/ssh` }] }, /^forwards\[0]\.to: .* not in "peers".* add that peer/],
  [{ forwards: [{ ...FORWARD, to: 'nobody/ssh' }] }, /^forwards\[0]\.to: .* a member of the network .* else add/],
  [{ relays: [{ url: 'http://relay.example.org' }] }, /^relays\[0]\.url: .* proves itself to nobody/],
]

for (const [change, warning] of WARNINGS) {
  test(`warns of ${warning.source}`, t => {
    const result = parseConfig(JSON.stringify({ ...FULL, ...change }), FILE)
    t.true(result.ok)
    t.is(result.warnings.length, 1)
    t.regex(result.warnings.map(formatFault).join('\n'), warning)
  })
}

test("finds this machine's own id among its peers", t => {
  const result = parseConfig(JSON.stringify(FULL), FILE)
  if (!result.ok) return t.fail('the sample is bad')
  t.deepEqual(ownIdFaults(result.config, ATTIC), [])
  t.is(ownIdFaults(result.config, LAPTOP)[0]?.place, 'peers.laptop.id')
})

test('survives 20,000 mutations of a config, and every fault has its words', t => {
  const sample = JSON.stringify(FULL, null, 1)
  const random = seeded(2)
  let bad = 0
  for (let round = 0; round < 20_000; round++) {
    const text = mutate(sample, random)
    for (const fault of faultsIn(text)) {
      bad++
      if (fault.place === '' || fault.problem === '' || fault.remedy === '' || formatFault(fault).length > 600) {
        t.fail(`seed 2, round ${round}: ${formatFault(fault)}`)
      }
    }
  }
  t.true(bad > 10_000)
})
