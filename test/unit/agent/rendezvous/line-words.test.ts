import test from 'ava'
import { type LineNetwork, LineWords } from '../../../../agent/rendezvous/line-words.ts'
import { generateKeyPair } from '../../../../common/platform/ed25519.ts'
import type { AgentMessage, Guest } from '../../../../common/wire/relay-message.ts'

const [ann, bob] = [generateKeyPair().id, generateKeyPair().id]
const CHAIN = new Uint8Array(225)

function scene(network?: Partial<LineNetwork>) {
  const said: AgentMessage[] = []
  const guests: Guest[] = []
  const full = network && {
    membership: () => CHAIN,
    guests: () => guests,
    removals: () => [],
    onStatement: () => undefined,
    ...network,
  }
  return { said, guests, words: new LineWords(full, message => said.push(message)) }
}

test('who is watched is told at once and after each welcome, 1,024 of them at most', t => {
  const { said, words } = scene()
  words.welcomed([])
  t.deepEqual(said, [])
  words.watch([ann])
  words.lost()
  words.welcomed(['network'])
  t.deepEqual(said, [
    { type: 'watch', peers: [ann] },
    { type: 'watch', peers: [ann] },
  ])
  t.deepEqual([words.watches(ann), words.watches(bob)], [true, false])
  words.watch(Array.from({ length: 1_100 }, () => generateKeyPair().id))
  const last = said.at(-1)
  t.is(last?.type === 'watch' ? last.peers.length : 0, 1_024)
})

test('a relay that knows networks is told guests and late removals after each welcome, another one nothing', t => {
  const { said, guests, words } = scene({ removals: () => [CHAIN] })
  guests.push({ id: ann, notAfter: 9 })
  words.welcomed(['pipe'])
  words.tellGuests()
  words.announce(CHAIN)
  t.deepEqual(said, [])
  const told: readonly AgentMessage[] = [
    { type: 'guests', guests: [{ id: ann, notAfter: 9 }] },
    { type: 'statement', chain: CHAIN },
  ]
  words.welcomed(['network'])
  t.deepEqual(said, told)
  words.lost()
  words.announce(CHAIN)
  words.welcomed(['network'])
  t.deepEqual(said, [...told, ...told])
})

test('guests are told when they change, also that there is none any more, and 64 of them', t => {
  const { said, guests, words } = scene({})
  words.welcomed(['network'])
  words.tellGuests()
  t.deepEqual(said, [])
  for (let n = 0; n < 70; n++) guests.push({ id: n === 69 ? bob : ann, notAfter: n === 69 ? 0 : 1 })
  words.tellGuests()
  const [first] = said
  t.is(first?.type === 'guests' ? first.guests.length : 0, 64)
  t.is(first?.type === 'guests' ? first.guests[0]?.id : undefined, bob, 'those that end first')
  guests.length = 0
  words.tellGuests()
  words.tellGuests()
  t.deepEqual(said.slice(1), [{ type: 'guests', guests: [] }])
})

test('who is in no network tells no removals', t => {
  const { said, words } = scene({ membership: () => undefined, removals: () => [CHAIN] })
  words.welcomed(['network'])
  t.deepEqual(said, [])
})
