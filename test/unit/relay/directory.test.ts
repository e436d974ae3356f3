import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { Directory } from '../../../relay/directory.ts'

const [a, b, c] = [generateKeyPair().id, generateKeyPair().id, generateKeyPair().id]

test('who watches gets an answer for each peer, and only those who watch back are told', t => {
  const directory = new Directory<string>()
  directory.join(a, 'A')
  directory.join(b, 'B')
  t.deepEqual(directory.watch(a, 'A', [b, c]), [
    { to: 'A', peer: b, online: false },
    { to: 'A', peer: c, online: false },
  ])
  t.deepEqual(directory.watch(b, 'B', [a]), [
    { to: 'B', peer: a, online: true },
    { to: 'A', peer: b, online: true },
  ])
})

test('who stops watching looks offline to the other, and so does who leaves', t => {
  const directory = new Directory<string>()
  directory.join(a, 'A')
  directory.join(b, 'B')
  directory.watch(a, 'A', [b])
  directory.watch(b, 'B', [a])
  t.deepEqual(directory.watch(b, 'B', []), [{ to: 'A', peer: b, online: false }])
  directory.watch(b, 'B', [a])
  t.deepEqual(directory.leave(b, 'B'), [{ to: 'A', peer: b, online: false }])
  t.is(directory.size, 1)
})

test('a newer line takes the place of the older without looking like going and coming', t => {
  const directory = new Directory<string>()
  directory.join(a, 'A')
  directory.join(b, 'B')
  directory.watch(a, 'A', [b])
  directory.watch(b, 'B', [a])
  t.is(directory.join(b, 'B2'), 'B')
  t.deepEqual(directory.leave(b, 'B'), [])
  t.deepEqual(directory.watch(b, 'B', []), [])
  t.is(directory.get(b), 'B2')
  t.deepEqual([...directory.lines()], ['A', 'B2'])
  t.deepEqual(directory.leave(a, 'A'), [{ to: 'B2', peer: a, online: false }])
})

test('nobody watches himself', t => {
  const directory = new Directory<string>()
  directory.join(a, 'A')
  t.deepEqual(directory.watch(a, 'A', [a]), [])
})
