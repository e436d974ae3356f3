import test from 'ava'
import {
  type BulkSample,
  type BulkState,
  type BulkTransport,
  bulkStep,
  CALM,
  SAMPLE_MS,
} from '../../../../agent/path/bulk-choice.ts'

const MBIT = 125
const MINUTE = 60_000

interface Line {
  /** Mbit/s that each carries, from some time on. */
  readonly tcp: number
  readonly udx: number
  readonly rttMs?: number
  readonly loadedRttMs?: number
  readonly resent?: number
  /** Sampled so long after it was asked for, a path over UDX is there; absent: never. */
  readonly udxAfterMs?: number
  readonly full?: boolean
  readonly backlog?: boolean
  readonly on?: BulkTransport | 'neither'
  readonly otherReady?: boolean
}

/** A long stream, sampled as the agent does; a path takes a second to find its pace. What was told, and when in ms. */
class Play {
  readonly told: string[] = []
  state: BulkState = CALM
  now = 0
  on: BulkTransport = 'tcp'
  #remembered: BulkTransport | undefined
  #delivered = 0
  #askedAt: number | undefined
  #movedAt = 0
  readonly carried = { tcp: 0, udx: 0 }

  constructor(remembered?: BulkTransport) {
    this.#remembered = remembered
  }

  run(line: Line, forMs: number): this {
    for (const until = this.now + forMs; this.now < until; this.now += SAMPLE_MS) this.#sample(line)
    return this
  }

  #sample(line: Line): void {
    const { rttMs = 80, loadedRttMs = 2 * rttMs, resent, udxAfterMs, full = true, backlog = true } = line
    const made = udxAfterMs !== undefined && this.#askedAt !== undefined && this.now >= this.#askedAt + udxAfterMs
    const sample: BulkSample = {
      delivered: this.#delivered,
      backlog,
      full,
      transport: line.on === 'neither' ? undefined : (line.on ?? this.on),
      rttMs,
      loadedRttMs,
      otherReady: made || this.on === 'udx' || line.otherReady === true,
      remembered: this.#remembered,
      resent,
      bufferBytes: undefined,
    }
    const step = bulkStep(this.state, sample, this.now)
    this.state = step.state
    if (step.ask) this.told.push(`ask@${this.now}`)
    if (step.ask) this.#askedAt = this.now
    if (step.prefer && step.prefer !== this.on) {
      this.told.push(`${step.prefer}@${this.now}`)
      this.on = step.prefer
      this.#movedAt = this.now
    }
    if (step.learnt) this.told.push(`learnt ${step.learnt}`)
    if (step.learnt) this.#remembered = step.learnt
    if (step.over) this.told.push(`over@${this.now}`)
    const pace = Math.min(1, (this.now - this.#movedAt) / 1_000 + 0.2)
    const bytes = backlog ? line[this.on] * MBIT * pace * SAMPLE_MS : 0
    this.#delivered += bytes
    this.carried[this.on] += bytes
  }
}

/** Losses hold TCP back on it, by far. */
const LOSSY: Line = { tcp: 180, udx: 300, resent: 0.002, udxAfterMs: 500 }
/** Bytes get lost, and still TCP carries what the line takes. */
const FULL: Line = { tcp: 23, udx: 23, rttMs: 40, resent: 0.01, udxAfterMs: 500 }

test('where losses hold TCP back, UDX is tried after a second or two, and kept as soon as it is clearly faster', t => {
  const { told, now, carried } = new Play().run(LOSSY, 12_000)
  t.deepEqual(told, ['ask@1500', 'udx@2000', 'learnt udx'])
  t.true((carried.tcp + carried.udx) / now > 0.85 * LOSSY.udx * MBIT)
})

test('UDX that is no faster is left again, for it costs eight times the processor time; after two trials for ten minutes', t => {
  for (const [udx, first, second] of [
    [60, 3_750, 65_500],
    [140, 4_750, 67_500],
  ] as const) {
    const { told } = new Play().run({ ...LOSSY, udx }, 9 * MINUTE)
    const tried = told.filter(what => !what.startsWith('ask'))
    t.deepEqual(tried, ['udx@2000', `tcp@${first}`, `udx@${first + 60_000}`, `tcp@${second}`, 'learnt tcp'])
  }
})

test('a trial that was lost at a bad moment is soon made up for, and one that was remembered in due time', t => {
  const unlucky = new Play().run({ ...LOSSY, udx: 60 }, 5_000)
  t.is(unlucky.on, 'tcp')
  unlucky.run(LOSSY, MINUTE + 5_000)
  t.deepEqual([unlucky.on, unlucky.told.at(-1)], ['udx', 'learnt udx'])

  const { told } = new Play('tcp').run(LOSSY, 20_000)
  t.deepEqual(told, ['ask@9250', 'udx@9750', 'learnt udx'])
})

test('where there is little between them nothing is learnt, and it is tried again in a minute', t => {
  for (const udx of [170, 200]) {
    const { told } = new Play().run({ ...LOSSY, udx }, 80_000)
    t.deepEqual(told.slice(0, 3), ['ask@1500', 'udx@2000', 'tcp@4750'])
    t.true(told.every(what => !what.startsWith('learnt')))
    t.is(told.filter(what => what.startsWith('udx')).length, 2)
  }
})

test('where TCP fills the line the trial waits until it costs less than three hundredths of what has flowed', t => {
  const { told, carried, now } = new Play().run(FULL, 45_000)
  t.deepEqual(told, ['ask@27250', 'udx@27750', 'tcp@30500', 'learnt tcp'])
  t.true((carried.tcp + carried.udx) / now > 0.97 * FULL.tcp * MBIT)
})

test('on a line without losses, a short one or a fast one nothing is tried, ever', t => {
  for (const line of [
    { ...LOSSY, resent: 0 },
    { ...LOSSY, rttMs: 2 },
    { ...LOSSY, tcp: 640, udx: 900 },
    { ...LOSSY, full: false },
  ]) {
    t.deepEqual(new Play().run(line, 20 * MINUTE).told, [])
  }
})

test('on a line over a satellite a trial waits as well, whatever speaks for it', t => {
  t.deepEqual(new Play().run({ ...LOSSY, tcp: 20, udx: 23, rttMs: 600 }, 2 * MINUTE).told, [])
})

test('where the kernel tells nothing of losses the trial is made, but late', t => {
  const { told } = new Play().run({ tcp: 180, udx: 300, udxAfterMs: 500 }, 60_000)
  t.deepEqual(told.slice(0, 1), ['ask@37750'])
  t.is(told.at(-1), 'learnt udx')
})

test('what was faster in this network the last time is used from the first look on', t => {
  t.deepEqual(new Play('udx').run({ ...LOSSY, udxAfterMs: 250 }, 10_000).told, ['ask@0', 'udx@250'])
  t.deepEqual(new Play('tcp').run(LOSSY, 9_000).told, [])
})

test('a stream that comes after one that found UDX faster goes over it from the first look on', t => {
  const play = new Play().run(LOSSY, 10_000).run({ ...LOSSY, backlog: false }, 15_000)
  play.on = 'tcp'
  const before = play.told.length
  play.run({ ...LOSSY, otherReady: true }, 250)
  t.deepEqual(play.told.slice(before), ['udx@25000'])
})

test('what is only remembered is measured against TCP in due time', t => {
  const { told } = new Play('udx').run({ tcp: 180, udx: 150, resent: 0.002, udxAfterMs: 0 }, 60_000)
  t.is(told[1], 'udx@250')
  t.regex(told[2] ?? '', /^tcp@3\d{4}$/)
  t.is(told[3], 'learnt tcp')
})

test('UDX that won and then becomes far slower, or answers far later, is measured against TCP again', t => {
  const slower = new Play().run(LOSSY, 40_000)
  t.is(slower.on, 'udx')
  slower.run({ ...LOSSY, udx: 90 }, 5_000)
  t.deepEqual([slower.on, slower.told.at(-1)], ['tcp', 'learnt tcp'])

  const later = new Play().run(LOSSY, 40_000).run({ ...LOSSY, loadedRttMs: 900 }, MINUTE)
  // Which shows that TCP is no better, once.
  t.deepEqual(later.told.slice(3), ['tcp@40000', 'udx@41750', 'learnt udx'])
})

test('when nothing long has flowed for ten seconds, nothing is to be watched', t => {
  const play = new Play().run(LOSSY, 10_000).run({ ...LOSSY, backlog: false }, 15_000)
  t.true(play.told.includes('over@21000'))
  t.is(play.state.name, 'calm')
})

test('a stream that waits for its program now and then is the same stream', t => {
  const play = new Play().run(LOSSY, 1_000).run({ ...LOSSY, backlog: false }, 500)
  t.is(play.state.name, 'flowing')
})

test('where no UDX path comes, it is asked for once in a minute', t => {
  const { udxAfterMs, ...without } = LOSSY
  const { told } = new Play().run(without, 3 * MINUTE)
  t.deepEqual(told, ['ask@1500', 'ask@66500', 'ask@131500'])
})

test('a trial that the end of the stream or of the path cuts short tells nothing', t => {
  const ended = new Play().run(LOSSY, 3_000)
  t.is(ended.state.name, 'trying')
  ended.run({ ...LOSSY, backlog: false }, 1_500)
  t.deepEqual([ended.on, ended.told.includes('learnt udx'), ended.state.name], ['tcp', false, 'calm'])

  const broke = new Play().run(LOSSY, 3_000).run({ ...LOSSY, on: 'tcp' }, 1_000)
  t.deepEqual([broke.told.includes('learnt udx'), broke.state.name], [false, 'flowing'])

  const relayed = new Play().run(LOSSY, 3_000).run({ ...LOSSY, on: 'neither' }, 250)
  t.is(relayed.state.name, 'calm')
})

test('a move that does not come about is given up', t => {
  const play = new Play().run(LOSSY, 2_500)
  t.is(play.state.name, 'trying')
  const stuck = new Play().run(LOSSY, 2_250).run({ ...LOSSY, on: 'tcp' }, 11_000)
  t.deepEqual([stuck.on, stuck.state.name], ['tcp', 'flowing'])
})
