import test from 'ava'
import { plainText } from '../../../../common/wire/plain-text.ts'

test('text of every script is left as it is', t => {
  for (const text of ['', 'a "b" \\ c', 'Grüße, 世界 🙂', 'שלום', 'a\u200db']) t.is(plainText(text), text)
})

test('a run of characters that forge lines, drive a terminal or reverse text is one space', t => {
  const evil = '\0\t\n\r\u001b\u007f\u0085\u009b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff'
  for (const one of evil) t.is(plainText(`a${one}b`), 'a b', `U+${one.charCodeAt(0).toString(16)}`)
  t.is(plainText(`a${evil}b${evil}`), 'a b ')
})
