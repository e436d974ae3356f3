import test from 'ava'
import {
  firstMappingStep,
  type MappingEvent,
  type MappingStep,
  nextMappingStep,
} from '../../../../../agent/nat/upnp/mapping-step.ts'

const WISH = { protocol: 'tcp', internalPort: 4000, externalPort: 4000, leaseS: 3600, description: 'culvert' } as const
const OURS = { name: 'entry', client: '192.168.1.5', internalPort: 4000, leaseS: 900, description: 'culvert' } as const
const ANOTHERS = { ...OURS, client: '192.168.1.9', description: 'console' }
const OLD = { ...OURS, client: '192.168.1.4' }
const FREE = { name: 'fault', code: 714 } as const
const ADDED = { name: 'added' } as const
const fault = (code: number): MappingEvent => ({ name: 'fault', code })

/** Negotiates with a gateway that answers so; returns each question and the end. */
function negotiate(version: 1 | 2, answers: readonly MappingEvent[], spares = [30_001, 30_002]): readonly string[] {
  let step: MappingStep = firstMappingStep(WISH, '192.168.1.5', version === 2, spares)
  const said = [describe(step)]
  for (const answer of answers) {
    step = nextMappingStep(step, answer)
    said.push(describe(step))
  }
  return said
}

function describe(step: MappingStep): string {
  switch (step.name) {
    case 'looking':
      return `look ${step.attempt.port}`
    case 'adding':
      return `add ${step.attempt.port} for ${step.attempt.leaseS}`
    case 'removing':
      return `remove ${step.attempt.port}`
    case 'reserving':
      return `reserve for ${step.attempt.leaseS}`
    case 'done':
      return `done ${step.mapping.externalPort} for ${step.mapping.leaseS}`
    case 'failed':
      return `failed: ${step.refusal.message}`
    default:
      return step satisfies never
  }
}

test('a free port is added', t => {
  t.deepEqual(negotiate(1, [FREE, ADDED]), ['look 4000', 'add 4000 for 3600', 'done 4000 for 3600'])
})

test('an entry that is ours is prolonged, not doubled', t => {
  t.deepEqual(negotiate(1, [OURS, ADDED]).at(-1), 'done 4000 for 3600')
})

test('an entry that is ours and cannot be prolonged serves until it ends', t => {
  t.is(negotiate(1, [OURS, fault(718)]).at(-1), 'done 4000 for 900')
  t.is(negotiate(1, [OURS, fault(501)]).at(-1), 'done 4000 for 900')
})

test('an entry of our own that leads to an address we had before is replaced, if the router lets us', t => {
  t.deepEqual(negotiate(1, [OLD, { name: 'removed' }, ADDED]), [
    'look 4000',
    'remove 4000',
    'add 4000 for 3600',
    'done 4000 for 3600',
  ])
  t.is(negotiate(1, [OLD, fault(606)]).at(-1), 'look 30001')
})

test('718: where another machine has the port, version 1 tries another, version 2 lets the router choose', t => {
  t.deepEqual(negotiate(1, [ANOTHERS, FREE, ADDED]), [
    'look 4000',
    'look 30001',
    'add 30001 for 3600',
    'done 30001 for 3600',
  ])
  t.deepEqual(negotiate(1, [FREE, fault(718), FREE, ADDED]).at(-1), 'done 30001 for 3600')
  t.deepEqual(negotiate(2, [ANOTHERS, { name: 'reserved', port: 7777 }]), [
    'look 4000',
    'reserve for 3600',
    'done 7777 for 3600',
  ])
  t.deepEqual(negotiate(2, [ANOTHERS, fault(602), FREE, ADDED]).at(-1), 'done 30001 for 3600')
})

test('725: a router of permanent mappings gets lease 0, and so do those that say 402 or 501 for it', t => {
  for (const code of [725, 402, 501]) {
    t.deepEqual(negotiate(1, [FREE, fault(code), ADDED]).slice(-2), ['add 4000 for 0', 'done 4000 for 0'])
  }
  t.deepEqual(negotiate(2, [ANOTHERS, fault(725), { name: 'reserved', port: 7777 }]).at(-1), 'done 7777 for 0')
})

test('724: a router that wants equal ports gets them', t => {
  t.deepEqual(negotiate(1, [ANOTHERS, FREE, fault(724)]).at(-1), 'look 4000')
})

test('606: another port is tried, in case it was the port; then the refusal is named with its remedy', t => {
  t.is(negotiate(1, [FREE, fault(606)]).at(-1), 'look 30001')
  const end = negotiate(1, [FREE, fault(606)], []).at(-1) ?? ''
  t.regex(end, /TCP port 4000: it does not authorize the action \(UPnP error 606\); allow UPnP/)
})

test('728 and other refusals end it at once, by name', t => {
  t.regex(negotiate(1, [FREE, fault(728)]).at(-1) ?? '', /table of port mappings is full .* delete unused/)
  t.regex(negotiate(1, [FREE, fault(716)]).at(-1) ?? '', /^failed: /)
  t.regex(negotiate(1, [FREE, fault(999)]).at(-1) ?? '', /unknown error \(UPnP error 999\)/)
})

test('a router that does not answer is no refusal', t => {
  const silence = { name: 'no-answer', message: 'nothing came' } as const
  const step = nextMappingStep(firstMappingStep(WISH, '192.168.1.5', false, []), silence)
  t.deepEqual(step, { name: 'failed', refusal: { kind: 'no-answer', message: 'nothing came' } })
})

test('whatever a router answers, it is over after 16 questions', t => {
  const answers = [FREE, OURS, ANOTHERS, ADDED, ...[402, 501, 606, 716, 718, 724, 725, 728, 729].map(fault)]
  answers.push(
    { name: 'reserved', port: 5 },
    { name: 'entry', client: '', internalPort: Number.NaN, leaseS: 0, description: '' },
    OLD,
    {
      name: 'removed',
    },
  )
  let seed = 7
  for (let round = 0; round < 2000; round++) {
    let step: MappingStep = firstMappingStep(WISH, '192.168.1.5', round % 2 === 0, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    let questions = 0
    for (; step.name !== 'done' && step.name !== 'failed'; questions++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      step = nextMappingStep(step, answers[seed % answers.length] ?? FREE)
    }
    t.true(questions <= 16)
  }
})
