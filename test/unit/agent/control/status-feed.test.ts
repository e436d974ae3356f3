import { Writable } from 'node:stream'
import test from 'ava'
import { feedStatus } from '../../../../agent/control/status-feed.ts'
import type { Clock } from '../../../../common/platform/clock.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

function scene() {
  let now = 0
  let due: { readonly at: number; readonly run: () => void } | undefined
  const looks = new Set<() => void>()
  let looksEveryMs = 0
  const asked: AbortSignal[] = []
  const clock: Clock = {
    now: () => now,
    wallNow: () => now,
    after(delayMs, run) {
      due = { at: now + delayMs, run }
      return { cancel: () => (due = undefined) }
    },
    every(periodMs, run) {
      looks.add(run)
      looksEveryMs = periodMs
      return { cancel: () => looks.delete(run) }
    },
  }
  const listeners = new Set<() => void>()
  let uptimeS = 0
  const target = {
    status: () => ({ ...SAMPLE_STATUS, uptimeS }),
    async freshStatus(signal: AbortSignal) {
      asked.push(signal)
      return target.status()
    },
    onChange(listener: () => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const lines: number[] = []
  let resume: (() => void) | undefined
  let isSlow = false
  const output = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)).uptimeS)
      if (isSlow) resume = () => done()
      else done()
    },
  })
  return {
    clock,
    target,
    output,
    lines,
    listeners,
    looks,
    asked,
    looksEveryMs: () => looksEveryMs,
    change() {
      uptimeS++
      for (const listener of listeners) listener()
    },
    pass(ms: number) {
      now += ms
      const ready = due && due.at <= now ? due : undefined
      if (ready) due = undefined
      ready?.run()
    },
    slow: () => (isSlow = true),
    async catchUp() {
      isSlow = false
      resume?.()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

test('writes at once, then at most four times a second, the newest state each time', async t => {
  const { clock, target, output, lines, change, pass } = scene()
  feedStatus(target, output, clock)
  t.deepEqual(lines, [0])
  await new Promise(resolve => setImmediate(resolve))
  change()
  change()
  change()
  t.deepEqual(lines, [0])
  pass(249)
  t.deepEqual(lines, [0])
  pass(1)
  t.deepEqual(lines, [0, 3])
  pass(10_000)
  t.deepEqual(lines, [0, 3])
})

test('queues nothing for a reader that does not read, and gives it the newest state when it does', async t => {
  const { clock, target, output, lines, change, pass, slow, catchUp } = scene()
  slow()
  feedStatus(target, output, clock)
  for (let i = 0; i < 100; i++) {
    change()
    pass(250)
  }
  t.deepEqual(lines, [0])
  await catchUp()
  pass(250)
  t.deepEqual(lines, [0, 100])
})

test('listens no longer once the reader is gone', async t => {
  const { clock, target, output, listeners, change, lines, pass } = scene()
  feedStatus(target, output, clock)
  change()
  output.destroy()
  await new Promise(resolve => setImmediate(resolve))
  t.is(listeners.size, 0)
  pass(1000)
  t.deepEqual(lines, [0])
})

test('has what is quiet asked whether it lives, for as long as somebody watches', async t => {
  const { clock, target, output, looks, asked, looksEveryMs } = scene()
  feedStatus(target, output, clock)
  t.is(looksEveryMs(), 10_000)
  for (const look of looks) look()
  t.deepEqual(
    asked.map(({ aborted }) => aborted),
    [false],
  )
  output.destroy()
  await new Promise(resolve => setImmediate(resolve))
  t.is(looks.size, 0)
  t.true(asked[0]?.aborted)
})
