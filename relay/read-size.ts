/** Smallest read buffer: what a pipe that only carries signalling costs, each way. */
export const MIN_READ_BYTES = 16 * 1024
/** Largest: beyond it the relay's CPU per byte no longer fell (64 KiB .38, 256 KiB .29 of socket.pipe on loopback). */
export const MAX_READ_BYTES = 256 * 1024

/** Full reads in a row that show a bulk transfer, and small ones in a row that show its end. */
const FULL_READS_TO_GROW = 4
const SMALL_READS_TO_SHRINK = 64

/** The size of one direction's read buffer, and what its last reads said about it. */
export interface ReadSize {
  readonly bytes: number
  readonly fullInRow: number
  readonly smallInRow: number
}

export const FIRST_READ_SIZE: ReadSize = { bytes: MIN_READ_BYTES, fullInRow: 0, smallInRow: 0 }

/** The size after a read of `length` bytes: four times as much for a bulk transfer, back to the least for a trickle. */
export function afterRead(size: ReadSize, length: number): ReadSize {
  if (length >= size.bytes) {
    if (size.bytes === MAX_READ_BYTES) return size.smallInRow === 0 ? size : { ...size, smallInRow: 0 }
    const fullInRow = size.fullInRow + 1
    if (fullInRow < FULL_READS_TO_GROW) return { bytes: size.bytes, fullInRow, smallInRow: 0 }
    return { bytes: Math.min(MAX_READ_BYTES, size.bytes * 4), fullInRow: 0, smallInRow: 0 }
  }
  if (size.bytes === MIN_READ_BYTES) return size.fullInRow === 0 ? size : FIRST_READ_SIZE
  if (length * 8 > size.bytes)
    return size.fullInRow === 0 && size.smallInRow === 0 ? size : { ...size, fullInRow: 0, smallInRow: 0 }
  const smallInRow = size.smallInRow + 1
  return smallInRow < SMALL_READS_TO_SHRINK ? { bytes: size.bytes, fullInRow: 0, smallInRow } : FIRST_READ_SIZE
}
