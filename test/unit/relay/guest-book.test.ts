import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { GuestBook } from '../../../relay/guest-book.ts'

const [guest, other] = [generateKeyPair().id, generateKeyPair().id]

test('a guest is expected by who tells of it, until the end of its time, or of the line', t => {
  const book = new GuestBook<string>()
  book.expect('a', [{ id: guest, notAfter: 100 }])
  book.expect('b', [
    { id: guest, notAfter: 50 },
    { id: other, notAfter: 50 },
  ])
  t.deepEqual([book.hostsOf(guest, 50), book.hostsOf(guest, 51), book.hostsOf(guest, 101)], [['a', 'b'], ['a'], []])
  book.expect('b', [])
  t.deepEqual([book.hostsOf(guest, 50), book.hostsOf(other, 50), book.size], [['a'], [], 1])
  book.forget('a')
  book.forget('a')
  t.deepEqual([book.hostsOf(guest, 0), book.size], [[], 0])
})

test('50,000 guests are remembered in all', t => {
  const book = new GuestBook<number>()
  const guests = new Array(64).fill({ id: guest, notAfter: 1 })
  for (let line = 0; line < 1_000; line++) book.expect(line, guests)
  t.is(book.size, 50_000)
  book.expect(0, [])
  book.expect(1_000, guests)
  t.is(book.size, 50_000)
})
