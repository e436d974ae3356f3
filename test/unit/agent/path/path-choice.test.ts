import test from 'ava'
import fc from 'fast-check'
import {
  choosePath,
  comparePaths,
  isDirect,
  type PathView,
  replacedPaths,
  superfluousPaths,
} from '../../../../agent/path/path-choice.ts'
import { ALICE } from '../../../vectors/keys.ts'

const path = (over: Partial<PathView> = {}): PathView => ({
  kind: 'tcp',
  transport: 'tcp',
  how: 'lan',
  ready: true,
  suspect: false,
  tieBreaker: 'a',
  ...over,
})
const relay = (over: Partial<PathView> = {}) => path({ kind: 'relay', transport: 'pipe', how: 'relay', ...over })
const udp = (over: Partial<PathView> = {}) => path({ kind: 'udp', transport: 'datachannel', how: 'punched', ...over })

const anyPath: fc.Arbitrary<PathView> = fc.record({
  kind: fc.constantFrom('tcp', 'udp', 'relay'),
  transport: fc.constantFrom('tcp', 'udx', 'datachannel', 'pipe'),
  how: fc.constantFrom('lan', 'public', 'ipv6', 'mapped', 'punched', 'relay'),
  ready: fc.boolean(),
  suspect: fc.boolean(),
  tieBreaker: fc.stringMatching(/^[0-9a-f]{16}$/),
})

test('TCP before UDP before a peer that carries before the relay, near before far', t => {
  const worth = [
    path(),
    path({ how: 'ipv6' }),
    path({ how: 'public' }),
    path({ how: 'mapped' }),
    path({ how: 'punched' }),
    udp({ transport: 'udx' }),
    udp({ how: 'lan' }),
    udp(),
    relay({ via: ALICE.id, tieBreaker: 'b' }),
    relay(),
  ]
  t.deepEqual(worth.toReversed().sort(comparePaths), worth)
})

test('a path that is not ready is never chosen, a suspect one only when nothing sound is there', t => {
  t.is(choosePath([path({ ready: false })]), undefined)
  t.is(choosePath([]), undefined)
  const sound = relay()
  t.is(choosePath([path({ suspect: true }), sound]), sound)
  const best = path({ suspect: true })
  t.is(choosePath([relay({ suspect: true }), best]), best)
})

test('a newer path over UDX replaces those before it, as soon as it is ready', t => {
  const [first, second] = [udp({ transport: 'udx' }), udp({ transport: 'udx', suspect: true })]
  const coming = udp({ transport: 'udx', ready: false })
  t.deepEqual(replacedPaths([first, relay(), coming]), [])
  t.deepEqual(replacedPaths([first, path(), second, coming]), [first])
})

test('both sides choose the same path, in whatever order they have them', t => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPath, { maxLength: 8, selector: ({ tieBreaker }) => tieBreaker }), paths => {
      const chosen = choosePath(paths)
      t.is(choosePath(paths.toReversed()), chosen)
      t.is(
        chosen === undefined,
        paths.every(({ ready }) => !ready),
      )
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('a sound direct path makes all others superfluous; what is not ready yet may still come', t => {
  const best = path()
  const lesser = [udp(), relay(), path({ how: 'mapped', suspect: true })]
  t.deepEqual(superfluousPaths([best, ...lesser, udp({ ready: false })], best), lesser)
  t.deepEqual(superfluousPaths([path({ suspect: true }), relay()], path({ suspect: true })), [])
})

test('a relay path makes only other relay paths superfluous', t => {
  const best = relay()
  const other = relay({ tieBreaker: 'b' })
  t.deepEqual(superfluousPaths([best, other, udp({ suspect: true })], best), [other])
})

test('of two paths, at most one is superfluous to the other', t => {
  fc.assert(
    fc.property(anyPath, anyPath, (a, b) => {
      t.false(superfluousPaths([a, b], a).includes(b) && superfluousPaths([a, b], b).includes(a))
    }),
    { seed: 2, numRuns: 500 },
  )
})

test('everything but the relay is direct', t => {
  t.true(isDirect(path()))
  t.true(isDirect(udp()))
  t.false(isDirect(relay()))
})
