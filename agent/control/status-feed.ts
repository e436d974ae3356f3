import type { Writable } from 'node:stream'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { ControlTarget } from './control-target.ts'

/** At most four lines a second: enough for an eye, little for a Pi. */
const PERIOD_MS = 250
/** What nobody uses is asked so often whether it lives, while somebody watches. */
const LOOK_MS = 10_000

/**
 * Writes the status as one line of JSON at once and after every change, until the stream closes. A slow reader gets
 * fewer lines, each one current when it was written: nothing is queued for it.
 */
export function feedStatus(
  target: Pick<ControlTarget, 'status' | 'freshStatus' | 'onChange'>,
  output: Writable,
  clock: Clock,
): void {
  const closed = new AbortController()
  let lastAt = Number.NEGATIVE_INFINITY
  let timer: Timer | undefined
  let isStalled = false
  let isDue = false
  const write = () => {
    timer = undefined
    isDue = false
    lastAt = clock.now()
    isStalled = !output.write(`${JSON.stringify(target.status())}\n`)
  }
  const changed = () => {
    isDue = true
    if (isStalled || timer) return
    const wait = lastAt + PERIOD_MS - clock.now()
    if (wait <= 0) write()
    else timer = clock.after(wait, write)
  }
  const stop = target.onChange(changed)
  // What it finds is a change like others.
  const looks = clock.every(LOOK_MS, () => void target.freshStatus(closed.signal).catch(() => undefined))
  output.on('drain', () => {
    isStalled = false
    if (isDue) changed()
  })
  output.once('close', () => {
    stop()
    looks.cancel()
    closed.abort()
    timer?.cancel()
  })
  changed()
}
