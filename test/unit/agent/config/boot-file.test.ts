import test from 'ava'
import { mergeBootFile } from '../../../../agent/config/boot-file.ts'
import { formatFault } from '../../../../agent/config/config-fault.ts'
import { mutate, seeded } from './seeded-mutations.ts'

const PATH = '/etc/culvert/agent.json'
const ID = `${'k'.repeat(51)}a`
const OTHER = `${'w'.repeat(51)}a`

function merged(part: unknown, present?: unknown): unknown {
  const result = mergeBootFile(text(part), present === undefined ? undefined : text(present), PATH)
  return result.ok ? JSON.parse(result.text) : result.faults.map(formatFault)
}

const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

test('a part alone becomes a whole config', t => {
  t.deepEqual(merged({ name: 'attic', peers: { office: { id: ID } } }), {
    stateDir: '/var/lib/culvert',
    name: 'attic',
    peers: { office: { id: ID } },
  })
  t.deepEqual(merged('\uFEFF{\r\n}\r\n'), { stateDir: '/var/lib/culvert' })
  const elsewhere = mergeBootFile('{}', undefined, '/home/pi/agent.json')
  t.is(elsewhere.ok && elsewhere.config.stateDir, '/home/pi/state')
})

test('objects go into each other, and all else is replaced', t => {
  const present = {
    name: 'pi',
    stateDir: '/var/lib/culvert',
    relays: [{ url: 'https://a.example' }],
    peers: { office: { id: ID, keep: true } },
    services: { ssh: { target: 'tcp://127.0.0.1:22', allow: ['peer:office'] } },
  }
  const part = {
    relays: [{ url: 'https://b.example' }],
    peers: { tv: { id: OTHER } },
    services: { ssh: { target: 'tcp://127.0.0.1:2222' } },
  }
  t.deepEqual(merged(part, present), {
    ...present,
    relays: part.relays,
    peers: { office: { id: ID, keep: true }, tv: { id: OTHER } },
    services: { ssh: { target: 'tcp://127.0.0.1:2222', allow: ['peer:office'] } },
  })
})

test('taken in twice, it is the same', t => {
  const part = { name: 'attic', services: { web: { target: 'tcp://127.0.0.1:80' } } }
  const once = merged(part)
  t.deepEqual(merged(part, once), once)
})

test('what is wrong in it is told with place and remedy', t => {
  t.deepEqual(merged({ nam: 'attic', services: { web: { target: 'http://x' } } }), [
    'services.web.target: "http://x" is no target; write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH"',
    'nam: "nam" is no known key; did you mean "name"?',
  ])
  t.deepEqual(merged('{ "name": "a", "name": "b" }'), ['name: "name" is there twice; remove one of the two'])
  t.regex(String(merged('{ "name": ')), /^line 1, column 11: the file ends where/)
  t.regex(String(merged('[]')), /^the file: holds no object/)
  t.regex(String(merged({ listen: '0.0.0.0:443', admit: 'anyone' })), /is a relay's config/)
  t.regex(String(merged('{ "__proto__": { "name": "x" } }')), /^__proto__: .*is no known key/)
  t.regex(String(merged({ forwards: [{ listen: 'tcp://127.0.0.1:1', to: 'tv' }] })), /^forwards\[0\]\.to: /)
})

test('a fault of the config that is there is told as that of another file', t => {
  t.like(mergeBootFile('{}', '{ "name": 7, "stateDir": "x" }', PATH), { ok: false, file: 'present' })
  t.like(mergeBootFile('{ "name": 7 }', '{ "stateDir": "x" }', PATH), { ok: false, file: 'part' })
})

test('no text makes it throw', t => {
  const random = seeded(11)
  const good = JSON.stringify({ name: 'attic', peers: { a: { id: ID } }, relays: [{ url: 'https://a.example' }] })
  for (let i = 0; i < 3_000; i++) {
    t.notThrows(() => mergeBootFile(mutate(good, random), i % 2 === 0 ? undefined : mutate(good, random), PATH))
  }
})
