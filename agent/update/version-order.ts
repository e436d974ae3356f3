/** `1.2.3` or `1.2.3-rc.1`: also fit to be a directory's name. */
const FORM = /^(\d{1,5})\.(\d{1,5})\.(\d{1,5})(?:-([0-9A-Za-z]{1,16}(?:\.[0-9A-Za-z]{1,16}){0,3}))?$/

export function isVersion(text: string): boolean {
  return FORM.test(text)
}

/** Below 0 when `a` is older than `b`, above 0 when newer (semver.org §11). Both have the form of a version. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [FORM.exec(a), FORM.exec(b)]
  for (const part of [1, 2, 3]) {
    const difference = Number(left?.[part]) - Number(right?.[part])
    if (difference !== 0) return difference
  }
  return comparePreReleases(left?.[4], right?.[4])
}

/** A version without one is the release itself, which comes last. */
function comparePreReleases(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0
  if (a === undefined) return 1
  if (b === undefined) return -1
  const [left, right] = [a.split('.'), b.split('.')]
  for (const [index, part] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    const difference = compareParts(part, other)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

function compareParts(a: string, b: string): number {
  const numbers = [a, b].map(part => /^\d+$/.test(part))
  if (numbers[0] && numbers[1]) return Number(a) - Number(b)
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1
  return a === b ? 0 : a < b ? -1 : 1
}
