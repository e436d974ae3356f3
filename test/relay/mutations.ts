import { seeded } from './bytes.ts'

/** Endless variants of some valid messages: bits flipped, parts cut, doubled, replaced, joined. Same seed, same variants. */
export function* mutations(samples: readonly Buffer[], seed: number): Generator<Buffer> {
  const next = seeded(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const pick = (): Buffer => samples[below(samples.length)] ?? Buffer.alloc(0)
  for (;;) {
    let bytes = Buffer.from(pick())
    for (let rounds = 1 + below(4); rounds > 0; rounds--) {
      const at = below(bytes.length + 1)
      switch (below(6)) {
        case 0:
          if (bytes.length > 0) bytes.writeUInt8(below(256), below(bytes.length))
          break
        case 1:
          bytes = bytes.subarray(0, at)
          break
        case 2:
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(bytes.length + 1))])
          break
        case 3:
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(below(40), below(256)), bytes.subarray(at)])
          break
        case 4:
          bytes = Buffer.concat([bytes, pick().subarray(at)])
          break
        default:
          // Lengths and type bytes sit at the edges of their ranges.
          if (bytes.length > 0)
            bytes.writeUInt8([0, 1, 0x7f, 0x80, 0xc1, 0xdd, 0xdf, 0xff][below(8)] ?? 0, below(bytes.length))
      }
    }
    yield bytes
  }
}

export function* first<T>(count: number, items: Iterable<T>): Generator<T> {
  let taken = 0
  for (const item of items) {
    if (taken++ === count) return
    yield item
  }
}
