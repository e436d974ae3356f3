import { type Candidate, type DirectHow, MAX_CANDIDATES } from '../../../common/wire/candidate.ts'
import { type Endpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'

/** One address at which the peer may hear us. */
export interface ProbeTarget {
  readonly endpoint: Endpoint
  /** How the peer learnt of it; undefined for one that its own checks came from (RFC 8445: peer-reflexive). */
  readonly how: DirectHow | undefined
  readonly sent: number
  readonly nextAt: number
  readonly answer: ProbeAnswer | undefined
}

export interface ProbeAnswer {
  readonly rttMs: number
  /** Our own endpoint as the peer sees it. */
  readonly outside: Endpoint
  readonly cookie: Uint8Array
}

export type AnsweredTarget = ProbeTarget & { readonly answer: ProbeAnswer }

/** One round of looking for a way over UDP, as pure functions of what was sent and heard. */
export interface ProbeRun {
  readonly startedAt: number
  readonly targets: readonly ProbeTarget[]
  readonly answeredAt: number | undefined
}

/**
 * After the first check, in ms. The first opens our NAT and is lost at the peer's when that is not open yet; most pairs
 * need the second, a slow line or an unlucky one the later ones.
 */
const REPEATS_MS = [0, 80, 200, 400, 800, 1_400, 2_200, 3_200] as const
/** From the last look at a new target: no NAT in between needs longer than its round trip. */
const OVER_AFTER_MS = 4_500
/** A nomination and a TLS handshake on the slowest lines. */
const NOTHING_CAME_MS = 9_000
/** A better pair may answer a little later than the first one. */
const SETTLE_MS = 30
/** Addresses that the peer's checks come from beside those it told: one per NAT on the way is honest. */
const MAX_REFLEXIVE = 4

export function startProbeRun(candidates: readonly Candidate[], now: number): ProbeRun {
  return addCandidates({ startedAt: now, targets: [], answeredAt: undefined }, candidates, now)
}

/** Adds what is new among the peer's candidates; the run goes on as long for it as for the others. */
export function addCandidates(run: ProbeRun, candidates: readonly Candidate[], now: number): ProbeRun {
  const fresh = candidates.filter(
    ({ kind, endpoint }) => kind === 'udp' && !run.targets.some(target => sameEndpoint(target.endpoint, endpoint)),
  )
  if (fresh.length === 0) return run
  const targets = [...run.targets, ...fresh.map(({ endpoint, how }) => newTarget(endpoint, how, now))]
  return { ...run, startedAt: now, targets: targets.slice(0, MAX_CANDIDATES) }
}

/** A check of the peer came from there, so its own NAT is open now: ours is worth another check at once. */
export function heardFrom(run: ProbeRun, endpoint: Endpoint, now: number): ProbeRun {
  if (run.targets.some(target => sameEndpoint(target.endpoint, endpoint))) {
    return change(run, endpoint, target =>
      target.answer ? target : { ...target, nextAt: Math.min(target.nextAt, now) },
    )
  }
  if (run.targets.filter(({ how }) => how === undefined).length >= MAX_REFLEXIVE) return run
  return { ...run, startedAt: now, targets: [...run.targets, newTarget(endpoint, undefined, now)] }
}

export function checkSent(run: ProbeRun, endpoint: Endpoint, now: number): ProbeRun {
  return change(run, endpoint, target => {
    const step = REPEATS_MS[target.sent + 1]
    const last = REPEATS_MS[target.sent] ?? 0
    return {
      ...target,
      sent: target.sent + 1,
      nextAt: step === undefined ? Number.POSITIVE_INFINITY : now + step - last,
    }
  })
}

export function checkAnswered(run: ProbeRun, endpoint: Endpoint, answer: ProbeAnswer, now: number): ProbeRun {
  const answered = change(run, endpoint, target => ({ ...target, answer, nextAt: Number.POSITIVE_INFINITY }))
  return answered === run ? run : { ...answered, answeredAt: run.answeredAt ?? now }
}

/** It answered a check, but leads to nothing. */
export function giveUpTarget(run: ProbeRun, endpoint: Endpoint): ProbeRun {
  const targets = run.targets.filter(target => !sameEndpoint(target.endpoint, endpoint))
  const answered = targets.some(target => target.answer)
  return { ...run, targets, answeredAt: answered ? run.answeredAt : undefined }
}

/** The target to check now, or the one whose turn comes first. */
export function nextCheck(run: ProbeRun): ProbeTarget | undefined {
  let first: ProbeTarget | undefined
  for (const target of run.targets) if (!first || target.nextAt < first.nextAt) first = target
  return first && first.nextAt !== Number.POSITIVE_INFINITY ? first : undefined
}

/** Nobody answers, or nothing came of the answer. */
export function isOver(run: ProbeRun, now: number): boolean {
  return now >= overAt(run)
}

function overAt({ startedAt, answeredAt }: ProbeRun): number {
  return answeredAt === undefined ? startedAt + OVER_AFTER_MS : answeredAt + NOTHING_CAME_MS
}

/** What is near before what is far, and fast before slow, as soon as nothing better is to be expected. */
export function pairToNominate(run: ProbeRun, now: number): AnsweredTarget | undefined {
  if (run.answeredAt === undefined) return undefined
  const [best] = run.targets.filter(isAnswered).toSorted(compareAnswered)
  return now - run.answeredAt >= SETTLE_MS || best?.how === 'lan' ? best : undefined
}

/** Milliseconds until something is to be done; `leads`: we are the side that nominates. */
export function nextStepMs(run: ProbeRun, leads: boolean, now: number): number {
  const check = nextCheck(run)?.nextAt ?? Number.POSITIVE_INFINITY
  const nominate = leads && run.answeredAt !== undefined ? run.answeredAt + SETTLE_MS : Number.POSITIVE_INFINITY
  return Math.max(0, Math.min(check, nominate, overAt(run)) - now)
}

function isAnswered(target: ProbeTarget): target is AnsweredTarget {
  return target.answer !== undefined
}

const HOWS: readonly (DirectHow | undefined)[] = ['lan', 'ipv6', 'public', 'mapped', 'punched', undefined]

function compareAnswered(a: AnsweredTarget, b: AnsweredTarget): number {
  return HOWS.indexOf(a.how) - HOWS.indexOf(b.how) || a.answer.rttMs - b.answer.rttMs
}

function newTarget(endpoint: Endpoint, how: DirectHow | undefined, now: number): ProbeTarget {
  return { endpoint, how, sent: 0, nextAt: now, answer: undefined }
}

function change(run: ProbeRun, endpoint: Endpoint, map: (target: ProbeTarget) => ProbeTarget): ProbeRun {
  const at = run.targets.findIndex(target => sameEndpoint(target.endpoint, endpoint))
  const target = run.targets[at]
  return target ? { ...run, targets: run.targets.with(at, map(target)) } : run
}
