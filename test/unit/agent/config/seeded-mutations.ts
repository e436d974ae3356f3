/** The same pseudo-random numbers on every run (mulberry32), so that a failure can be repeated. */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\\u',
  'null',
  '-',
  '1e999',
  '__proto__',
  '\u0000',
  '//',
  '🥔',
  '\n',
]

/** A text with one to four random changes: signs put in, parts cut out, doubled or swapped. */
export function mutate(text: string, random: (below: number) => number): string {
  let mutant = text
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const at = random(mutant.length + 1)
    const to = Math.min(mutant.length, at + random(24))
    const part = mutant.slice(at, to)
    const kind = random(4)
    const fresh =
      kind === 0
        ? (PIECES[random(PIECES.length)] ?? '')
        : kind === 1
          ? ''
          : kind === 2
            ? part + part
            : String.fromCharCode(random(0x250))
    mutant = mutant.slice(0, at) + fresh + mutant.slice(kind === 0 ? at : to)
  }
  return mutant
}
