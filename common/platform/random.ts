import { randomBytes, randomInt } from 'node:crypto'

/** The only source of chance. */
export interface Random {
  /** Fresh unpredictable bytes. */
  bytes(length: number): Uint8Array
  /** A whole number, `low <= n < high`. */
  integer(low: number, high: number): number
}

export const systemRandom: Random = {
  bytes: length => new Uint8Array(randomBytes(length)),
  integer: (low, high) => randomInt(low, high),
}
