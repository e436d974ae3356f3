import test from 'ava'
import { isLastWord } from '../../../../agent/session/last-word.ts'

const CALM = { connecting: false, gathering: false } as const

test('what the peer itself or its absence says is the last word', t => {
  for (const code of ['peer-refused', 'peer-offline', 'relay-unreachable', 'not-authorized'] as const) {
    t.true(isLastWord(code, CALM), code)
  }
})

test('what passes by itself is not', t => {
  t.false(isLastWord('busy', CALM))
  t.false(isLastWord('timed-out', CALM))
  t.false(isLastWord('relay-unreachable', { ...CALM, connecting: true }))
  t.false(isLastWord('peer-offline', { ...CALM, gathering: true }))
  t.true(isLastWord('peer-offline', { ...CALM, connecting: true }))
})
