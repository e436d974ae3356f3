import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  formatAddress,
  isLocalOnly,
  parseAddress,
  parseHostPort,
  parseTarget,
  sameListener,
} from '../../../../agent/config/address.ts'
import { agentConfigSchema, SCHEMA_FILE } from '../../../../agent/config/json-schema.ts'
import { nameFromHost, parsePeerService } from '../../../../agent/config/name.ts'
import { nearest } from '../../../../agent/config/nearest.ts'
import { isName } from '../../../../common/wire/name.ts'

test('the published schema is the one in the code (node scripts/config-schema.ts writes it)', t => {
  const published = readFileSync(join(import.meta.dirname, '../../../..', SCHEMA_FILE), 'utf8')
  t.deepEqual(JSON.parse(published) as unknown, JSON.parse(JSON.stringify(agentConfigSchema())))
})

test('every option of the schema has a description', t => {
  const look = (schema: unknown, place: string) => {
    if (typeof schema !== 'object' || schema === null) return
    if ('type' in schema && !('description' in schema)) t.fail(`${place} has no description`)
    for (const [key, inner] of Object.entries(schema)) if (key !== 'default') look(inner, `${place}.${key}`)
  }
  look(agentConfigSchema(), 'schema')
  t.pass()
})

for (const text of [
  'tcp://127.0.0.1:22',
  'tcp://[::1]:22',
  'tcp://nas.home:8080',
  'udp://[::1]:53',
  'socks5://127.0.0.1:1080',
  'unix:/run/x.sock',
]) {
  test(`${text} is an address and is written back the same`, t => {
    const address = parseAddress(text)
    t.is(address && formatAddress(address), text)
  })
}

for (const text of [
  '',
  'tcp://',
  'tcp://:22',
  'tcp://::1:22',
  'tcp://a:0',
  'tcp://a:65536',
  'tcp://a:22/',
  'tcp://1.2.3:22',
  'tcp://a..b:1',
  'tcp://-a:1',
  'TCP://a:1',
  'udp://a',
  'socks://a:1',
  'unix:',
  'unix:/',
  'unix:x',
  'unix:/a\0b',
  'http://a:1',
]) {
  test(`${JSON.stringify(text)} is no address`, t => t.is(parseAddress(text), undefined))
}

test('unix:///PATH means unix:/PATH, as other programs write it', t => {
  t.deepEqual(parseAddress('unix:///run/x'), { kind: 'unix', path: '/run/x' })
})

test("knows which listeners are in each other's way", t => {
  const same = (a: string, b: string) => {
    const [one, two] = [parseAddress(a), parseAddress(b)]
    return one && two && sameListener(one, two)
  }
  t.true(same('tcp://localhost:1', 'tcp://127.0.0.1:1'))
  t.true(same('tcp://0.0.0.0:1', 'tcp://127.0.0.1:1'))
  t.true(same('unix:/a', 'unix:/a'))
  t.false(same('tcp://127.0.0.1:1', 'tcp://127.0.0.1:2'))
  t.false(same('tcp://127.0.0.1:1', 'tcp://127.0.0.2:1'))
  t.false(same('unix:/a', 'tcp://a:1'))
  t.true(same('udp://0.0.0.0:1', 'udp://127.0.0.1:1'))
  t.true(same('socks5://127.0.0.1:1', 'tcp://127.0.0.1:1'))
  t.false(same('udp://127.0.0.1:1', 'tcp://127.0.0.1:1'))
})

test('knows which listeners only this machine reaches', t => {
  const local = (text: string) => {
    const address = parseAddress(text)
    return address && isLocalOnly(address)
  }
  t.true(local('tcp://127.0.0.1:1'))
  t.true(local('tcp://[::1]:1'))
  t.true(local('tcp://localhost:1'))
  t.true(local('unix:/x'))
  t.false(local('tcp://0.0.0.0:1'))
  t.false(local('tcp://192.168.1.2:1'))
  t.false(local('tcp://nas:1'))
})

test('a service runs at no SOCKS5 address', t => {
  t.is(parseTarget('socks5://127.0.0.1:1080'), undefined)
  t.deepEqual(parseTarget('udp://127.0.0.1:53'), { kind: 'udp', host: '127.0.0.1', port: 53 })
})

test('reads host and port', t => {
  t.deepEqual(parseHostPort('stun.example.org:3478'), { host: 'stun.example.org', port: 3478 })
  t.is(parseHostPort('stun.example.org'), undefined)
})

test('names are short, plain and never a peer id', t => {
  t.true(isName('Attic-2_b.home'))
  t.true(isName('constructor'))
  for (const bad of ['', '-a', '.a', 'a b', 'a/b', 'ä', 'a'.repeat(64), 'a'.repeat(52)]) t.false(isName(bad), bad)
})

test("makes a name of a host's", t => {
  t.is(nameFromHost('pi.local'), 'pi')
  t.is(nameFromHost('---'), 'culvert')
  t.is(nameFromHost(''), 'culvert')
  t.is(nameFromHost('é'.repeat(70)), 'culvert')
})

test('takes PEER/SERVICE apart', t => {
  t.deepEqual(parsePeerService('laptop/ssh'), { peer: 'laptop', service: 'ssh' })
  for (const bad of ['laptop', '/ssh', 'laptop/', 'a/b/c', 'a b/c']) t.is(parsePeerService(bad), undefined)
})

test('finds the word that a mistyped one means', t => {
  const words = ['status', 'peers', 'ping', 'relay', 'forward']
  t.is(nearest('stauts', words), 'status')
  t.is(nearest('realy', words), 'relay')
  t.is(nearest('pings', words), 'ping')
  t.is(nearest('zebra', words), undefined)
  t.is(nearest('x'.repeat(10_000), words), undefined)
})
