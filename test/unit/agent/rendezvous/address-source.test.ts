import test from 'ava'
import { type AddressSource, AddressSources, MAX_KNOWN_ADDRESSES } from '../../../../agent/rendezvous/address-source.ts'
import { generateKeyPair } from '../../../../common/platform/ed25519.ts'

const { id } = generateKeyPair()
const never = new AbortController().signal

const told = (name: AddressSource['name'], present: boolean, ...hosts: readonly number[]): AddressSource => ({
  name,
  addresses: () =>
    hosts.map(host => ({ source: name, how: 'lan', endpoint: { address: `192.168.1.${host}`, port: 4000 } })),
  isPresent: () => present,
})

const hostsOf = (sources: AddressSources, which?: 'present') =>
  sources.addresses(id, which).map(({ endpoint }) => Number(endpoint.address.split('.')[3]))

test('addresses where the peer shows itself now come first, and each comes once', t => {
  const sources = new AddressSources()
  sources.add(told('memory', false, 1, 2))
  sources.add(told('lan', true, 3, 2))
  t.deepEqual(hostsOf(sources), [3, 2, 1])
  t.deepEqual(hostsOf(sources, 'present'), [3, 2])
  t.true(sources.isPresent(id))
  t.is(sources.addresses(id).find(({ endpoint }) => endpoint.address.endsWith('.2'))?.source, 'lan')
})

test('no peer has us dial more than a few addresses, however many are told', t => {
  const sources = new AddressSources()
  sources.add(told('record', false, ...Array.from({ length: 100 }, (_, i) => i)))
  t.is(hostsOf(sources).length, MAX_KNOWN_ADDRESSES)
})

test('who seeks a peer is told by the first address that comes up, or when no source expects any more', async t => {
  const sources = new AddressSources()
  await sources.seek(id, never)
  const ended = Promise.withResolvers<void>()
  const hangs: AddressSource = { name: 'dht', addresses: () => [], seek: () => ended.promise }
  sources.add(hangs)
  sources.add({ name: 'lan', addresses: () => [], seek: () => Promise.reject(new Error('no multicast')) })
  const order: string[] = []
  const seek = sources.seek(id, never).then(() => order.push('sought'))
  await Promise.resolve()
  sources.learnt(generateKeyPair().id)
  order.push('learnt')
  sources.learnt(id)
  await seek
  const again = sources.seek(id, never)
  ended.resolve()
  await again
  const stop = new AbortController()
  const aborted = new AddressSources()
  aborted.add({ ...hangs, seek: () => new Promise(() => undefined) })
  const waiting = aborted.seek(id, stop.signal)
  stop.abort()
  await waiting
  t.deepEqual(order, ['learnt', 'sought'])
})
