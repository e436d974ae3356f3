import { reasonOf } from '../common/errors.ts'
import type { NotMeasured } from './result.ts'

/** Starts what only a comparison needs; without it the others are measured, and `missing` says what is not and why. */
export async function optional<Value>(
  name: string,
  start: () => Promise<Value>,
): Promise<{ readonly value?: Value; readonly missing: readonly NotMeasured[] }> {
  try {
    return { value: await start(), missing: [] }
  } catch (thrown) {
    return { missing: [{ skipped: `against ${name}: ${reasonOf(thrown)}` }] }
  }
}
