/** Letters added, dropped or changed between two words (Levenshtein); words are cut at 64 letters. */
export function editDistance(first: string, second: string): number {
  const a = first.slice(0, 64).toLowerCase()
  const b = second.slice(0, 64).toLowerCase()
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, changed))
    }
    row = next
  }
  return row[b.length] ?? 0
}
