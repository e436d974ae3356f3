import test from 'ava'
import { explain, type WhyInput } from '../../../../agent/session/why.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { HOME } from '../../../vectors/situations.ts'

const nowhere = { local: undefined, remote: undefined }
const relayed = { kind: 'relay', transport: 'pipe', how: 'relay', ...nowhere } as const
const calm: WhyInput = {
  name: 'tv',
  state: 'connected',
  silentMs: undefined,
  path: relayed,
  faults: new Map(),
  trying: false,
  lastError: undefined,
  mute: false,
  hasRelay: true,
  relayProblem: null,
  own: HOME,
  theirs: HOME,
}

for (const [how, words] of [
  ['lan', /^direct over TCP: both are on the same network$/],
  ['public', /^direct over TCP: one side has a public address$/],
  ['ipv6', /^direct over TCP: both have IPv6$/],
  ['mapped', /^direct over TCP: a router maps a port/],
  ['punched', /^direct over TCP: both routers let answers/],
] as const) {
  test(`a direct path by ${how} says so, and wants no remedy`, t => {
    const { why, remedy } = explain({ ...calm, path: { kind: 'tcp', transport: 'tcp', how, ...nowhere } })
    t.regex(why, words)
    t.is(remedy, null)
  })
}

test('a relayed path names what is between, and what would help with what it gains', t => {
  const faults = new Map([['udp', 'no pair of addresses answered in 3000 ms']])
  const hard = { ...HOME, udp: { mapping: 'address-and-port-dependent', filtering: 'unknown' } } as const
  const { why, remedy } = explain({ ...calm, faults, own: hard, theirs: hard })
  t.is(
    why,
    'relayed: both routers use another outside port for every destination, so neither side can aim at the other',
  )
  t.regex(remedy ?? '', /^here: it refused; forward .*: then tv connects directly$/)
})

test('where calls are taken and no handshake comes through, large packets are suspected, whatever was said last', t => {
  const busy = new CulvertError('busy', 'the peer or the relay is busy; try again')
  for (const state of ['connecting', 'offline'] as const) {
    for (const lastError of [undefined, busy]) {
      const { why, remedy } = explain({ ...calm, state, path: undefined, mute: true, lastError })
      t.regex(why, /swallows large packets \(MTU\)/)
      t.regex(remedy ?? '', /MSS clamping in the router .* or a relay whose host/)
    }
  }
  t.regex(explain({ ...calm, mute: true }).why, /^relayed/)
})

test('while the first race runs, nothing is blamed', t => {
  const { why, remedy } = explain({ ...calm, trying: true })
  t.is(why, 'relayed while direct paths are being tried')
  t.is(remedy, null)
})

test('without a relay one is asked for', t => {
  const lastError = new CulvertError('relay-unreachable', 'no relay is configured')
  const input = { ...calm, path: undefined, state: 'connecting', lastError, hasRelay: false } as const
  t.regex(explain(input).remedy ?? '', /add a relay under "relays"/)
  t.deepEqual(explain({ ...input, state: 'offline' }).why, lastError.message)
})

test('without a path, the state tells why, and what to do', t => {
  const pathless = { ...calm, path: undefined }
  t.regex(explain({ ...pathless, state: 'refused' }).remedy ?? '', /"peers" on the other side/)
  t.regex(explain({ ...pathless, state: 'offline' }).remedy ?? '', /start culvert there/)
  t.is(explain({ ...pathless, state: 'idle' }).remedy, null)
  t.is(explain({ ...pathless, state: 'connecting' }).why, 'a path is being made')
  const lastError = new CulvertError('relay-unreachable', 'relay r: no answer in 8000 ms')
  t.is(explain({ ...pathless, state: 'connecting', lastError }).why, lastError.message)
})
