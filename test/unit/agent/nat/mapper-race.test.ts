import test from 'ava'
import { MapperRace } from '../../../../agent/nat/mapper-race.ts'
import type {
  MapOutcome,
  MapperProtocol,
  MappingGateway,
  MappingWish,
  PortMapper,
  PortMapping,
} from '../../../../agent/nat/port-mapper.ts'
import { pause } from '../../../../common/platform/clock.ts'
import { FakeClock } from '../../fake-clock.ts'

const WISH: MappingWish = { protocol: 'tcp', internalPort: 4000, externalPort: 4000, leaseS: 3600, description: 'x' }
const NEVER = new AbortController().signal

/** A router that speaks one protocol; it answers after some time, and notes what it is asked. */
class FakeMapper implements PortMapper {
  readonly said: string[] = []
  readonly #clock: FakeClock
  readonly #protocol: MapperProtocol
  answersAfterMs: number | undefined
  grants = true

  constructor(clock: FakeClock, protocol: MapperProtocol, answersAfterMs: number | undefined) {
    this.#clock = clock
    this.#protocol = protocol
    this.answersAfterMs = answersAfterMs
  }

  async find(): Promise<MappingGateway | undefined> {
    this.said.push('find')
    await pause(this.#clock, this.answersAfterMs ?? 2_000)
    return this.answersAfterMs === undefined ? undefined : this.#gateway()
  }

  listen(): Disposable {
    return { [Symbol.dispose]: () => undefined }
  }

  #gateway(): MappingGateway {
    return {
      protocol: this.#protocol,
      address: '192.168.1.1',
      checkCost: 'datagram',
      externalAddress: () => Promise.resolve({ kind: 'untold' }),
      map: ({ protocol, internalPort, externalPort, leaseS }): Promise<MapOutcome> => {
        this.said.push('map')
        const message = `${this.#protocol} says no`
        if (!this.grants) return Promise.resolve({ kind: 'refused', message })
        return Promise.resolve({ kind: 'granted', mapping: { protocol, internalPort, externalPort, leaseS } })
      },
      unmap: () => {
        this.said.push('unmap')
        return Promise.resolve(true)
      },
      check: () => {
        this.said.push('check')
        return Promise.resolve('kept')
      },
      doubt: () => undefined,
    }
  }
}

function race(pcpAfterMs: number | undefined, upnpAfterMs: number | undefined) {
  const clock = new FakeClock()
  const pcp = new FakeMapper(clock, 'pcp', pcpAfterMs)
  const upnp = new FakeMapper(clock, 'upnp', upnpAfterMs)
  const mapper = new MapperRace(clock, [pcp, upnp])
  return { clock, pcp, upnp, find: () => played(clock, mapper.find([], NEVER)) }
}

/** Lets time pass, in steps so small that promises settle in between, until the promise does. */
async function played<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let over = false
  const ended = promise.finally(() => {
    over = true
  })
  while (!over) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(10)
  }
  return ended
}

test('a router that answers the preferred protocol at once is not searched for by the others', async t => {
  const { pcp, upnp, find } = race(10, 10)
  t.is((await find())?.protocol, 'pcp')
  t.deepEqual([pcp.said, upnp.said], [['find'], []])
})

test('where the preferred protocol is silent, the next one is found without waiting for its end', async t => {
  const { clock, find } = race(undefined, 50)
  t.is((await find())?.protocol, 'upnp')
  t.true(clock.now() < 300)
})

test('a preferred protocol that is only slow still wins when it is first', async t => {
  const { find } = race(200, 500)
  t.is((await find())?.protocol, 'pcp')
})

test('nobody answers: nothing is found', async t => {
  t.is(await race(undefined, undefined).find(), undefined)
})

test('what the best protocol refuses, another one is asked for; the report names the one that did it', async t => {
  const { clock, pcp, upnp, find } = race(10, 10)
  pcp.grants = false
  const gateway = await find()
  if (!gateway) return t.fail()
  const outcome = await played(clock, gateway.map(WISH, NEVER))
  t.is(outcome.kind, 'granted')
  t.is(gateway.protocol, 'upnp')
  await gateway.unmap(mappingOf(outcome), NEVER)
  t.deepEqual(pcp.said, ['find', 'map'])
  t.deepEqual(upnp.said, ['find', 'map', 'unmap'])
})

test('when all refuse, the last one says why', async t => {
  const { clock, pcp, upnp, find } = race(10, 10)
  pcp.grants = false
  upnp.grants = false
  const gateway = await find()
  const outcome = await played(clock, gateway?.map(WISH, NEVER) ?? Promise.reject(new Error('not found')))
  t.like(outcome, { kind: 'refused', message: 'upnp says no' })
})

test('a mapping that another protocol holds from before is taken back first', async t => {
  const { clock, pcp, upnp, find } = race(undefined, 10)
  const before = await find()
  await played(clock, before?.map(WISH, NEVER) ?? Promise.reject(new Error('not found')))
  pcp.answersAfterMs = 10
  const after = await find()
  t.is(after?.protocol, 'upnp', 'still the one that holds it')
  await played(clock, after?.map(WISH, NEVER) ?? Promise.reject(new Error('not found')))
  t.is(after?.protocol, 'pcp')
  t.deepEqual(upnp.said, ['find', 'map', 'unmap'])
})

test('a mapping is looked after by the protocol that holds it', async t => {
  const { clock, pcp, upnp, find } = race(10, 10)
  pcp.grants = false
  const gateway = await find()
  if (!gateway) return t.fail()
  const outcome = await played(clock, gateway.map(WISH, NEVER))
  t.is(await gateway.check([mappingOf(outcome)], NEVER), 'kept')
  t.deepEqual(pcp.said, ['find', 'map'])
  t.is(upnp.said.at(-1), 'check')
})

test('a mapping is renewed by the protocol that granted it, which need not take it back; what that refuses, the others are asked', async t => {
  const { clock, pcp, upnp, find } = race(10, 10)
  pcp.grants = false
  const gateway = await find()
  if (!gateway) return t.fail()
  await played(clock, gateway.map(WISH, NEVER))
  t.is((await played(clock, gateway.map(WISH, NEVER))).kind, 'granted')
  t.deepEqual(pcp.said, ['find', 'map'])
  t.deepEqual(upnp.said, ['find', 'map', 'map'])
  upnp.grants = false
  pcp.grants = true
  t.is((await played(clock, gateway.map(WISH, NEVER))).kind, 'granted')
  t.is(gateway.protocol, 'pcp')
  t.deepEqual(upnp.said, ['find', 'map', 'map', 'map', 'unmap'])
})

function mappingOf(outcome: MapOutcome): PortMapping {
  if (outcome.kind !== 'granted') throw new Error(outcome.kind)
  return outcome.mapping
}
