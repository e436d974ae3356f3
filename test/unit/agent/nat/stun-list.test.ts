import test from 'ava'
import { StunList } from '../../../../agent/nat/stun-list.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { createLog } from '../../../../common/platform/log.ts'
import type { Endpoint } from '../../../../common/wire/endpoint.ts'
import { FakeClock } from '../../fake-clock.ts'

const at = (last: number): Endpoint => ({ address: `203.0.113.${last}`, port: 3478 })

function scene() {
  const clock = new FakeClock()
  const told: (readonly number[])[] = []
  const lines: string[] = []
  const world = { relays: [at(1)], resolve: async (): Promise<readonly Endpoint[]> => [at(9)] }
  const stun = new StunList({
    clock,
    log: createLog({ level: 'debug', style: 'words', write: line => lines.push(line) }),
    resolve: () => world.resolve(),
    ofRelays: () => world.relays,
    onChange: servers => told.push(servers.map(({ address }) => Number(address.split('.')[3]))),
  })
  return { clock, told, lines, world, stun }
}

test('servers are those of the relays, then those of the config', async t => {
  const { stun, told } = scene()
  await stun.configure(['stun.example.org:3478'])
  t.deepEqual(told, [[1, 9]])
  stun.refresh()
  t.is(told.length, 1)
})

test('a relay that names others again and again is followed every ten seconds', t => {
  const { clock, stun, told, world } = scene()
  stun.refresh()
  for (let second = 1; second <= 25; second++) {
    world.relays = [at(second % 250)]
    stun.refresh()
    clock.advance(1_000)
  }
  t.deepEqual(told, [[1], [10], [20]])
})

test('what was known stays where DNS fails', async t => {
  const { clock, stun, told, lines, world } = scene()
  await stun.configure(['stun.example.org:3478'])
  world.resolve = () => Promise.reject(new CulvertError('io', 'no DNS'))
  await stun.configure(['stun.example.org:3478'])
  clock.advance(60_000)
  t.deepEqual(told, [[1, 9]])
  t.regex(lines.join(''), /no DNS/)
})

test('at the end nothing is told any more', async t => {
  const { clock, stun, told, world } = scene()
  stun.refresh()
  world.relays = [at(2)]
  stun.refresh()
  stun.close()
  await stun.configure([])
  clock.advance(60_000)
  t.deepEqual(told, [[1]])
  t.is(clock.timers, 0)
})
