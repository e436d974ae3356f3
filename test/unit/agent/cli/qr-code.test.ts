import test from 'ava'
import { qrCode } from '../../../../agent/cli/qr-code.ts'
import { INVITE_TEXT } from '../../../vectors/invites.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: what sets a terminal's colours begins with one
const COLOURS = /^\u001b\[40;97m(.*)\u001b\[0m$/

test('a code is drawn in lines of one width, with white around it, in colours of its own', t => {
  const lines = qrCode(INVITE_TEXT).trimEnd().split('\n')
  const drawn = lines.map(line => COLOURS.exec(line)?.[1] ?? '')
  // Version 9 has 53 modules, and two of white on each side.
  t.deepEqual(new Set(drawn.map(line => line.length)), new Set([57]))
  t.is(drawn.length, 29)
  t.is(drawn[0], '█'.repeat(57))
  for (const line of drawn) t.regex(line, /^██.*██$/)
  // The upper left finder pattern (ISO/IEC 18004 §6.3.3), two rows in each line.
  t.deepEqual(
    drawn.slice(1, 5).map(line => line.slice(2, 9)),
    [' ▄▄▄▄▄ ', ' █   █ ', ' █▄▄▄█ ', '▄▄▄▄▄▄▄'],
  )
})
