import type { MappingRefusal, MappingWish, PortMapping } from '../port-mapper.ts'
import { describeUpnpFault } from './upnp-fault.ts'

/**
 * How one mapping is negotiated with a gateway whose ways we do not know.
 *
 *   looking ──free, or ours──▶ adding ──added──▶ done
 *      ▲ ├─left by us─▶ removing ─┘ (from another address of ours)
 *      │ └─another's─┐           │ 725, 402, 501: without lease
 *      │             ▼           │
 *      └─spare port─ conflict ◀──┘ 718, 729 ...
 *                       └─ version 2 ─▶ reserving ─▶ done
 */
export type MappingStep =
  | { readonly name: 'looking'; readonly attempt: Attempt }
  /** `ownLeaseS`: the entry was ours already, with so many seconds left. */
  | { readonly name: 'adding'; readonly attempt: Attempt; readonly ownLeaseS: number | undefined }
  /** The entry bears our name and leads to an address that we no longer have. */
  | { readonly name: 'removing'; readonly attempt: Attempt }
  | { readonly name: 'reserving'; readonly attempt: Attempt }
  | { readonly name: 'done'; readonly mapping: PortMapping }
  | { readonly name: 'failed'; readonly refusal: MappingRefusal }

export interface Attempt {
  readonly wish: MappingWish
  /** Our own address on the gateway's network. */
  readonly client: string
  readonly port: number
  readonly leaseS: number
  /** External ports to try when one is taken. */
  readonly spares: readonly number[]
  /** The gateway can choose a free port itself (AddAnyPortMapping, version 2). */
  readonly canReserve: boolean
  readonly stepsLeft: number
}

export type MappingEvent =
  | {
      readonly name: 'entry'
      readonly client: string
      readonly internalPort: number
      readonly leaseS: number
      readonly description: string
    }
  | { readonly name: 'added' }
  | { readonly name: 'removed' }
  | { readonly name: 'reserved'; readonly port: number }
  | { readonly name: 'fault'; readonly code: number }
  | { readonly name: 'no-answer'; readonly message: string }

/** Ours: no gateway needs more questions, and a hostile one must not keep us asking. */
const MAX_STEPS = 16

const CONFLICT = 718
const CONFLICT_WITH_OTHER = 729
const NOT_AUTHORIZED = 606
const ACTION_FAILED = 501
const INVALID_ARGS = 402
const SAME_PORTS = 724
const PERMANENT_ONLY = 725

export function firstMappingStep(
  wish: MappingWish,
  client: string,
  canReserve: boolean,
  spares: readonly number[],
): MappingStep {
  const { externalPort: port, leaseS } = wish
  return { name: 'looking', attempt: { wish, client, port, leaseS, spares, canReserve, stepsLeft: MAX_STEPS } }
}

export function nextMappingStep(step: MappingStep, event: MappingEvent): MappingStep {
  if (step.name === 'done' || step.name === 'failed') return step
  if (event.name === 'no-answer') return { name: 'failed', refusal: { kind: 'no-answer', message: event.message } }
  const attempt = { ...step.attempt, stepsLeft: step.attempt.stepsLeft - 1 }
  if (attempt.stepsLeft === 0) return failed(attempt, CONFLICT)
  switch (event.name) {
    case 'entry':
      return step.name === 'looking' ? afterLook(attempt, event) : failed(attempt, ACTION_FAILED)
    case 'added':
      return done(attempt, attempt.port, attempt.leaseS)
    case 'removed':
      return { name: 'adding', attempt, ownLeaseS: undefined }
    case 'reserved':
      return done(attempt, event.port, attempt.leaseS)
    case 'fault':
      return afterFault(step, attempt, event.code)
    default:
      return event satisfies never
  }
}

function afterLook(attempt: Attempt, entry: Extract<MappingEvent, { name: 'entry' }>): MappingStep {
  const { wish, client } = attempt
  if (entry.internalPort !== wish.internalPort) return afterConflict(attempt, CONFLICT)
  if (entry.client === client) return { name: 'adding', attempt, ownLeaseS: entry.leaseS }
  return entry.description === wish.description ? { name: 'removing', attempt } : afterConflict(attempt, CONFLICT)
}

function afterFault(step: MappingStep, attempt: Attempt, code: number): MappingStep {
  switch (step.name) {
    case 'looking':
      // 714 says that the port is free; gateways that cannot or will not look are simply asked to add.
      return { name: 'adding', attempt, ownLeaseS: undefined }
    case 'reserving':
      return isAboutLease(code) && attempt.leaseS > 0
        ? { name: 'reserving', attempt: { ...attempt, leaseS: 0 } }
        : afterConflict({ ...attempt, canReserve: false }, code)
    case 'removing':
      // Many gateways let an entry be deleted only from the address that it leads to.
      return afterConflict(attempt, code)
    case 'adding':
      return afterRefusedAdd(attempt, step.ownLeaseS, code)
    default:
      return step
  }
}

function afterRefusedAdd(attempt: Attempt, ownLeaseS: number | undefined, code: number): MappingStep {
  // Some gateways cannot prolong: what is ours and still there serves until it ends.
  if (ownLeaseS !== undefined && (code === CONFLICT || code === ACTION_FAILED)) {
    return done(attempt, attempt.port, ownLeaseS)
  }
  if (isAboutLease(code) && attempt.leaseS > 0) {
    return { name: 'adding', attempt: { ...attempt, leaseS: 0 }, ownLeaseS }
  }
  if (code === SAME_PORTS && attempt.port !== attempt.wish.internalPort) {
    return { name: 'looking', attempt: { ...attempt, port: attempt.wish.internalPort, spares: [], canReserve: false } }
  }
  // Gateways with a list of allowed ports say 606, those that fail without a reason 501: another port may do.
  const another = [CONFLICT, CONFLICT_WITH_OTHER, NOT_AUTHORIZED, ACTION_FAILED].includes(code)
  return another ? afterConflict(attempt, code) : failed(attempt, code)
}

/** 402 and 501 are how gateways that know permanent mappings only often say so. */
function isAboutLease(code: number): boolean {
  return code === PERMANENT_ONLY || code === INVALID_ARGS || code === ACTION_FAILED
}

function afterConflict(attempt: Attempt, code: number): MappingStep {
  if (attempt.canReserve) return { name: 'reserving', attempt: { ...attempt, canReserve: false } }
  const [port, ...spares] = attempt.spares
  return port === undefined ? failed(attempt, code) : { name: 'looking', attempt: { ...attempt, port, spares } }
}

function done({ wish }: Attempt, externalPort: number, leaseS: number): MappingStep {
  return {
    name: 'done',
    mapping: { protocol: wish.protocol, internalPort: wish.internalPort, externalPort, leaseS },
  }
}

function failed({ wish, port }: Attempt, code: number): MappingStep {
  const message = describeUpnpFault(`${wish.protocol.toUpperCase()} port ${port}`, code)
  return { name: 'failed', refusal: { kind: 'refused', message } }
}
