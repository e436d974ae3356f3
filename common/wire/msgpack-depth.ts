/** From head byte 0xc0 on: nil, bool; bin; ext; float; uint; int; fixext; str; array; map. Bytes of the length field, */
const LENGTH_BYTES = [0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4]
/** and those of the value that the length does not count. */
const FIXED_BYTES = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 0, 0, 0, 0]
const ARRAY_16 = 0xdc
const MAP_16 = 0xde

/**
 * True when an array or map in this msgpack stands deeper than `limit` levels. The decoder makes room for every array
 * as soon as it is announced, and an announcement takes three bytes: 64 KiB of arrays in arrays cost it 180 MB.
 */
export function nestsDeeperThan(bytes: Uint8Array, limit: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  /** Values still to come in each array or map that is open. */
  const open: number[] = []
  let at = 0
  while (at < bytes.length) {
    const { length, values } = valueAt(view, at)
    at += length
    const level = open.length - 1
    if (level >= 0) open[level] = (open[level] ?? 0) - 1
    if (values > 0 && open.push(values) > limit) return true
    while (open.at(-1) === 0) open.pop()
  }
  return false
}

/** Bytes of the value that begins here, without those that it contains, and how many it contains. */
function valueAt(view: DataView, at: number): { readonly length: number; readonly values: number } {
  const head = view.getUint8(at)
  if (head < 0x80 || head >= 0xe0) return { length: 1, values: 0 }
  if (head < 0x90) return { length: 1, values: 2 * (head & 0x0f) }
  if (head < 0xa0) return { length: 1, values: head & 0x0f }
  if (head < 0xc0) return { length: 1 + (head & 0x1f), values: 0 }
  const lengthBytes = LENGTH_BYTES[head - 0xc0] ?? 0
  const own = 1 + lengthBytes + (FIXED_BYTES[head - 0xc0] ?? 0)
  const count = at + own > view.byteLength ? 0 : readCount(view, at + 1, lengthBytes)
  if (head < ARRAY_16) return { length: own + count, values: 0 }
  return { length: own, values: head < MAP_16 ? count : 2 * count }
}

function readCount(view: DataView, at: number, bytes: number): number {
  if (bytes === 0) return 0
  return bytes === 1 ? view.getUint8(at) : bytes === 2 ? view.getUint16(at) : view.getUint32(at)
}
