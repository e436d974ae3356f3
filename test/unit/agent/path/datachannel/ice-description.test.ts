import test from 'ava'
import {
  formatDescription,
  type IceDescription,
  parseDescription,
} from '../../../../../agent/path/datachannel/ice-description.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'

const description: IceDescription = {
  ufrag: 'AFHS',
  pwd: 'Ps/bni5BGfMQfaFQh5fcqv',
  fingerprint: Array.from({ length: 32 }, (_, i) => (i + 16).toString(16).toUpperCase()).join(':'),
  setup: 'actpass',
  mapped: false,
}

test('a written description reads as itself', t => {
  for (const mapped of [false, true]) {
    for (const setup of ['actpass', 'active', 'passive'] as const) {
      const one = { ...description, setup, mapped }
      t.deepEqual(parseDescription(formatDescription(one)), one)
    }
  }
})

test('addresses in an SDP are not passed on', t => {
  const sdp = `${formatDescription(description)}a=candidate:1 1 UDP 1 192.168.1.10 4000 typ host\r\n`
  const parsed = parseDescription(sdp)
  t.false(parsed === undefined || formatDescription(parsed).includes('192.168'))
})

for (const [what, change] of [
  ['without a fingerprint', (sdp: string) => sdp.replace(/a=fingerprint.*\r\n/, '')],
  ['with a weaker fingerprint', (sdp: string) => sdp.replace('sha-256', 'sha-1')],
  ['with two fingerprints', (sdp: string) => sdp + /a=fingerprint.*\r\n/.exec(sdp)?.[0]],
  ['with two passwords', (sdp: string) => `${sdp}a=ice-pwd:${'x'.repeat(22)}\r\n`],
  ['with a short password', (sdp: string) => sdp.replace(description.pwd, 'short')],
  ['without a role', (sdp: string) => sdp.replace(/a=setup.*\r\n/, '')],
  ['of 5,000 characters', (sdp: string) => sdp + 'a=x\r\n'.repeat(1000)],
  ['of nothing', () => ''],
] as const) {
  test(`an SDP ${what} is not taken`, t => {
    t.is(parseDescription(change(formatDescription(description))), undefined)
  })
}

test('whatever a peer writes, what we pass on has our own lines', t => {
  const draw = seededDraw(12)
  const original = Buffer.from(formatDescription(description))
  const shape = (sdp: string) => sdp.replace(/:[^\r]*/g, '')
  let read = 0
  for (let i = 0; i < 20_000; i++) {
    const parsed = parseDescription(mutateBytes(original, draw, 5000).toString('latin1'))
    if (!parsed) continue
    read++
    t.is(shape(formatDescription({ ...parsed, mapped: false })), shape(formatDescription(description)))
  }
  t.true(read > 1000)
})
