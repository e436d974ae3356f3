/** More than this is never compared: the effort is bounded whatever a file holds. */
const CANDIDATES_LIMIT = 500
const LENGTH_LIMIT = 64

/** The known word that a mistyped one most likely means, or undefined when none is near. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LENGTH_LIMIT) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  // A third of the letters may be wrong: "realy" means relay, "x" means nothing.
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  let compared = 0
  for (const candidate of known) {
    if (compared++ === CANDIDATES_LIMIT) break
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Letters added, dropped, changed or swapped with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + changed)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
