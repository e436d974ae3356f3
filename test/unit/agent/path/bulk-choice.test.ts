import test from 'ava'
import {
  type BulkSample,
  type BulkState,
  type BulkTransport,
  bulkStep,
  CALM,
  SAMPLE_MS,
} from '../../../../agent/path/bulk-choice.ts'

interface Line {
  /** Bytes per ms that each carries. */
  readonly tcp: number
  readonly udx: number
  readonly rttMs?: number
  /** Sampled so long after it was asked for, the other path is there; absent: never. */
  readonly udxAfterMs?: number
  readonly remembered?: BulkTransport
}

/** A long stream that starts on TCP, sampled as the agent does; gives what happened when. */
function play(
  line: Line,
  forMs: number,
  start: BulkState = CALM,
): { readonly told: string[]; readonly state: BulkState } {
  let state = start
  let on: BulkTransport = 'tcp'
  let delivered = 0
  let asked: number | undefined
  const told: string[] = []
  for (let now = 0; now <= forMs; now += SAMPLE_MS) {
    const made = line.udxAfterMs !== undefined && asked !== undefined && now >= asked + line.udxAfterMs
    const sample: BulkSample = {
      delivered,
      backlog: true,
      transport: on,
      rttMs: line.rttMs ?? 80,
      otherReady: made || on === 'udx',
      remembered: line.remembered,
    }
    const step = bulkStep(state, sample, now)
    state = step.state
    if (step.ask) told.push(`ask@${now}`)
    if (step.ask) asked = now
    if (step.prefer) told.push(`${step.prefer}@${now}`)
    if (step.learnt) told.push(`learnt ${step.learnt}`)
    on = step.prefer ?? on
    delivered += line[on] * SAMPLE_MS
  }
  return { told, state }
}

test('a long stream tries UDX for some seconds and stays on it where it is faster', t => {
  t.deepEqual(play({ tcp: 10, udx: 20, udxAfterMs: 500 }, 60_000).told, [
    'ask@3000',
    'udx@3500',
    'udx@7500',
    'learnt udx',
  ])
})

test('it goes back to TCP where UDX is slower, or not worth the processor time', t => {
  for (const udx of [5, 10, 11]) {
    const { told } = play({ tcp: 10, udx, udxAfterMs: 500 }, 60_000)
    t.deepEqual(told, ['ask@3000', 'udx@3500', 'tcp@7500', 'learnt tcp'])
  }
})

test('what the other carries is counted when it has found its pace, which takes longer on a longer line', t => {
  for (const [rttMs, end] of [
    [20, 6_500],
    [200, 9_500],
    [2_000, 10_500],
  ] as const) {
    t.is(play({ tcp: 10, udx: 20, rttMs, udxAfterMs: 500 }, 60_000).told[2], `udx@${end}`)
  }
})

test('it is not tried on a short line, at a high rate, nor twice in ten minutes', t => {
  t.deepEqual(play({ tcp: 10, udx: 20, rttMs: 2, udxAfterMs: 0 }, 60_000).told, [])
  t.deepEqual(play({ tcp: 80_000, udx: 90_000, udxAfterMs: 0 }, 60_000).told, [])
  const { told } = play({ tcp: 10, udx: 5, udxAfterMs: 0 }, 15 * 60_000)
  t.is(told.filter(what => what.startsWith('udx')).length, 2)
})

test('where UDX was faster the last time it is tried sooner', t => {
  t.is(play({ tcp: 10, udx: 20, udxAfterMs: 0, remembered: 'udx' }, 20_000).told[0], 'ask@1000')
})

test('where no UDX path comes, it is not asked for again and again', t => {
  t.deepEqual(play({ tcp: 10, udx: 20 }, 5 * 60_000).told, ['ask@3000'])
})

test('a trial that the end of the stream or of the path cuts short tells nothing', t => {
  const trying: BulkState = { name: 'trying', on: 'tcp', rate: 10, since: 0, from: undefined }
  const sample = { delivered: 0, backlog: true, rttMs: 80, otherReady: true, remembered: undefined } as const
  const ended = bulkStep(trying, { ...sample, transport: 'udx', backlog: false }, 500)
  t.deepEqual([ended.prefer, ended.learnt, ended.state.name], ['tcp', undefined, 'calm'])
  const broke = bulkStep(trying, { ...sample, transport: 'tcp' }, 500)
  t.deepEqual([broke.prefer, broke.learnt], ['tcp', undefined])
  t.is(bulkStep(trying, { ...sample, transport: undefined }, 500).state.name, 'calm')
})
