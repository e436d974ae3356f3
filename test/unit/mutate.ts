/** Draws whole numbers, `0 <= n < below`. */
export type Draw = (below: number) => number

/** The same draws for the same seed on every machine (mulberry32), so that a failure can be repeated. */
export function seededDraw(seed: number): Draw {
  let state = seed | 0
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Values at which lengths, counts and types go wrong. */
const EDGES = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0x8f, 0x90, 0xc0, 0xc6, 0xcf, 0xdb, 0xdc, 0xdd, 0xdf, 0xfe, 0xff]

/** The bytes with one to four random changes: flipped, overwritten, cut out, doubled, put in, torn off. */
export function mutateBytes(original: Uint8Array, draw: Draw, maxLength = 70_000): Buffer {
  let bytes = Buffer.from(original)
  for (let changes = 1 + draw(4); changes > 0; changes--) bytes = changeOnce(bytes, draw).subarray(0, maxLength)
  return bytes
}

function changeOnce(bytes: Buffer<ArrayBuffer>, draw: Draw): Buffer<ArrayBuffer> {
  const at = draw(bytes.length + 1)
  const to = Math.min(bytes.length, at + 1 + draw(12))
  switch (draw(8)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8))
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = EDGES[draw(EDGES.length)] ?? 0
      return bytes
    case 2:
      return bytes.fill(EDGES[draw(EDGES.length)] ?? 0, at, to)
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
    case 4:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
    case 5:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(1 + draw(9), draw), bytes.subarray(at)])
    case 6:
      return bytes.subarray(0, at)
    default: {
      // One part moved over another: fields in the wrong place.
      const part = Buffer.from(bytes.subarray(at, to))
      part.copy(bytes, draw(bytes.length + 1))
      return bytes
    }
  }
}

export function randomBytes(length: number, draw: Draw): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = draw(256)
  return bytes
}

/** The same bytes in pieces of random size, some of them empty. */
export function cutAtRandom(bytes: Buffer, draw: Draw): readonly Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = draw(4) === 0 ? draw(4) : draw(bytes.length + 1)
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}
