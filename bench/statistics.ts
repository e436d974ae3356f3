/** The middle value; of an even number of values the higher one of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Divides pairwise, so that each quotient compares two measurements of the same moment. */
export function quotients(values: readonly number[], by: readonly number[]): readonly number[] {
  return values.map((value, i) => value / (by[i] ?? Number.NaN))
}

/**
 * Measures each variant once a round, one after the other: what else the machine does then disturbs all alike. Every
 * round begins with another variant.
 */
export async function takeTurns<Name extends string, Value>(
  rounds: number,
  variants: Readonly<Record<Name, () => Promise<Value>>>,
): Promise<Readonly<Record<Name, readonly Value[]>>> {
  const names = Object.keys(variants) as Name[]
  const values = Object.fromEntries(names.map(name => [name, []])) as unknown as Record<Name, Value[]>
  for (let round = 0; round < rounds; round++) {
    for (const name of nextOrder(names, round)) values[name].push(await variants[name]())
  }
  return values
}

/** The same ones, beginning with another one in every round. */
export function nextOrder<One>(all: readonly One[], round: number): readonly One[] {
  const first = round % Math.max(1, all.length)
  return [...all.slice(first), ...all.slice(0, first)]
}
