import { encode } from 'uqr'

/** White around a code, by which cameras find it; two modules are enough for all that we tried. */
const BORDER = 2

/**
 * A text as a QR code for a terminal: two rows in each line, black on white whatever the terminal's own colours are. In
 * capitals, which take 5.5 bits a letter instead of 8.
 */
export function qrCode(text: string): string {
  const { data, size } = encode(text.toUpperCase(), { ecc: 'L', border: BORDER })
  const isBlack = (x: number, y: number) => data[y]?.[x] === true
  const lines: string[] = []
  for (let y = 0; y < size; y += 2) {
    let line = ''
    for (let x = 0; x < size; x++) line += BLOCKS[(isBlack(x, y) ? 0 : 2) + (isBlack(x, y + 1) ? 0 : 1)]
    // Bright white letters on black.
    lines.push(`\u001b[40;97m${line}\u001b[0m\n`)
  }
  return lines.join('')
}

/** By which half is white: none, the lower, the upper, both. */
const BLOCKS = [' ', '▄', '▀', '█'] as const
