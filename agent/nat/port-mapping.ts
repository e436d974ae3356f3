import type { ExternalAnswer, MapOutcome } from './port-mapper.ts'
import {
  type EntryState,
  type GatewayState,
  heldMapping,
  isBetweenNats,
  isUsable,
  type MappedProtocol,
  type PortMappingAction,
  type PortMappingEvent,
  type PortMappingState,
  type PortMappingStep,
} from './port-mapping-state.ts'

/** Ours: short enough that a crashed agent leaves nothing for long, long enough to renew only 48 times a day. */
export const LEASE_S = 3600
/** RFC 6887 §15; some routers grant 136 years, and a timer has 24 days at most: beyond that it fires at once. */
const MAX_LEASE_S = 86_400
/** Ours: a restart that is not announced is seen within this time, for 0.5 MB a day of LAN traffic. */
const CHECK_PERIOD_MS = { datagram: 90_000, connection: 300_000 } as const
/** Ours: who announces its restarts need hardly be asked. */
const CHECK_ANNOUNCED_MS = 600_000
const MAX_MISSED_CHECKS = 2
const CHECK_AGAIN_MS = 10_000

const FIRST_SEARCH_AGAIN_MS = 5000
const MAX_SEARCH_AGAIN_MS = 1_800_000
const FIRST_ASK_AGAIN_MS = { refused: 60_000, 'no-answer': 15_000, aborted: 1000 } as const
const MAX_ASK_AGAIN_MS = 3_600_000
/** Ours: a line that is down comes back soon, a carrier's NAT hardly ever goes. */
const ADDRESS_AGAIN_MS = {
  address: 600_000,
  untold: 600_000,
  refused: 60_000,
  'no-answer': 60_000,
  aborted: 60_000,
} as const
/** Ours: one search per this time, whatever is said on the LAN. */
const DEAF_MS = 10_000
/** Ours: a router says that it began anew up to ten times (RFC 6886 §3.2.1), the first ones within two seconds. */
const DEAF_TO_ANNOUNCEMENTS_MS = 2_000
/** Ours: a router that grants seconds is asked this often at most, and has no mapping for us in between. */
const MIN_RENEWAL_MS = 5_000

const PROTOCOLS = ['tcp', 'udp'] as const
const BOTH: ReadonlySet<MappedProtocol> = new Set(PROTOCOLS)

/**
 * Keeps two entries in a router's table, as a pure function of what was seen and when.
 *
 *   gateway:  searching ──found──▶ present ──restarted, silent──▶ searching
 *                │   ▲                │ check, now and then
 *                ▼   └─ later, alive ─┘
 *              absent
 *   entry:    waiting ──time──▶ asking ──granted──▶ kept ──half its lease──▶ asking
 *                ▲                 │
 *                └──── refused ────┘
 */
export function startPortMapping(now: number, wanted: ReadonlySet<MappedProtocol> = BOTH): PortMappingStep {
  const entry = (protocol: MappedProtocol): EntryState =>
    wanted.has(protocol) ? waiting(now, undefined) : { name: 'left' }
  const gateway: GatewayState = { name: 'searching', failures: 0 }
  const state = { gateway, last: undefined, known: undefined, tcp: entry('tcp'), udp: entry('udp') }
  return { state, actions: [{ name: 'search' }] }
}

/** Nothing was asked yet, or what was answered says nothing about now. */
function waiting(askAt: number, wasPort: number | undefined): EntryState {
  return { name: 'waiting', askAt, failures: 0, wasPort, problem: undefined, unanswered: false }
}

export function advancePortMapping(state: PortMappingState, event: PortMappingEvent, now: number): PortMappingStep {
  switch (event.name) {
    case 'tick':
      return due(state, now)
    case 'network':
      return search({ ...state, tcp: askAnew(state.tcp, now), udp: askAnew(state.udp, now) }, 0)
    case 'found':
      return found(state, event, now)
    case 'not-found':
      return notFound(state, now)
    case 'answered':
      return afterAnswer(state, event.protocol, event.outcome, now)
    case 'checked':
      return checked(state, event.result, now)
    case 'news':
      return heard(state, event, now)
    default:
      return event satisfies never
  }
}

/** When the next `tick` has something to do; infinity while answers are awaited. */
export function nextPortMappingAt(state: PortMappingState): number {
  const { gateway } = state
  if (gateway.name === 'searching') return Number.POSITIVE_INFINITY
  if (gateway.name === 'absent') return Math.min(gateway.searchAt, ...PROTOCOLS.map(name => endOf(state[name])))
  const times = PROTOCOLS.map(name => {
    const entry = state[name]
    if (entry.name === 'waiting') return entry.askAt
    return entry.name === 'kept' ? entry.renewAt : Number.POSITIVE_INFINITY
  })
  return Math.min(gateway.checkAt ?? Number.POSITIVE_INFINITY, ...(mayAsk(gateway.external) ? times : []))
}

/** Where the address comes with the mapping, asking is how to learn it. */
function mayAsk(external: ExternalAnswer): boolean {
  return external.kind === 'untold' || isUsable(external) || isBetweenNats(external)
}

/** An address that is not good may become so without a word, as when the provider gives a public one. */
function isSettled(external: ExternalAnswer): boolean {
  return external.kind === 'untold' || isUsable(external)
}

function stay(state: PortMappingState): PortMappingStep {
  return { state, actions: [] }
}

function search(state: PortMappingState, failures: number): PortMappingStep {
  return { state: { ...state, gateway: { name: 'searching', failures } }, actions: [{ name: 'search' }] }
}

/** Everything whose time has come. */
function due(state: PortMappingState, now: number): PortMappingStep {
  const { gateway } = state
  if (gateway.name === 'searching') return stay(state)
  if (gateway.name === 'absent') {
    return gateway.searchAt <= now ? search(state, gateway.failures) : stay(forgetEnded(state, now))
  }
  const actions: PortMappingAction[] = []
  let next = state
  if (gateway.checkAt !== undefined && gateway.checkAt <= now) {
    // Without an address there is nothing to check but the address.
    if (!isSettled(gateway.external)) return search(state, 0)
    next = { ...next, gateway: { ...gateway, checkAt: undefined } }
    actions.push({ name: 'check' })
  }
  if (!mayAsk(gateway.external)) return { state: next, actions }
  for (const protocol of PROTOCOLS) {
    const entry = next[protocol]
    if (entry.name === 'waiting' && entry.askAt <= now) {
      actions.push({ name: 'ask', protocol, wasPort: entry.wasPort })
      next = { ...next, [protocol]: { name: 'asking', failures: entry.failures, held: undefined } }
    } else if (entry.name === 'kept' && entry.renewAt <= now) {
      actions.push({ name: 'ask', protocol, wasPort: entry.mapping.externalPort })
      next = { ...next, [protocol]: { name: 'asking', failures: 0, held: entry.mapping } }
    }
  }
  return { state: next, actions }
}

function found(
  state: PortMappingState,
  event: Extract<PortMappingEvent, { name: 'found' }>,
  now: number,
): PortMappingStep {
  const { address, external } = event
  const checkPeriodMs = CHECK_PERIOD_MS[event.checkCost]
  const gateway: GatewayState = {
    name: 'present',
    address,
    external,
    deafUntil: now + DEAF_MS,
    checkPeriodMs,
    checkAt: now + (isSettled(external) ? checkPeriodMs : ADDRESS_AGAIN_MS[external.kind]),
    missed: 0,
    life: undefined,
  }
  const same = state.last?.address === address
  const again = (entry: EntryState): EntryState => {
    // Whatever the search was for, asking for what we had finds out whether it is still there.
    if (entry.name === 'kept' && same) return { ...entry, renewAt: now }
    if (entry.name === 'asking' || entry.name === 'left' || same) return entry
    // A question can be what made it fall silent: then one more, each time it is back, would keep it so.
    if (entry.name === 'waiting' && entry.unanswered && state.known === address) return entry
    return waiting(now, portOf(entry))
  }
  const entries = { tcp: again(state.tcp), udp: again(state.udp) }
  return due({ gateway, last: { address, external }, known: address, ...entries }, now)
}

function askAnew(entry: EntryState, now: number): EntryState {
  return entry.name === 'waiting' ? { ...entry, askAt: now, failures: 0 } : entry
}

function notFound(state: PortMappingState, now: number): PortMappingStep {
  const failures = state.gateway.name === 'searching' ? state.gateway.failures : 0
  const searchAt = now + Math.min(MAX_SEARCH_AGAIN_MS, FIRST_SEARCH_AGAIN_MS * 2 ** failures)
  const gateway: GatewayState = { name: 'absent', failures: failures + 1, searchAt }
  return stay({ ...state, gateway, last: undefined })
}

function afterAnswer(
  state: PortMappingState,
  protocol: MappedProtocol,
  outcome: MapOutcome,
  now: number,
): PortMappingStep {
  const next = withAddress({ ...state, [protocol]: answered(state[protocol], outcome, now) }, outcome, now)
  // A gateway that was restarted listens elsewhere; the entry itself waits its time, so this is no loop.
  const lost = outcome.kind === 'no-answer' && state.gateway.name === 'present'
  return lost ? search(next, 0) : due(next, now)
}

/** Takes over the outside address that came with a mapping. */
function withAddress(state: PortMappingState, outcome: MapOutcome, now: number): PortMappingState {
  const { gateway } = state
  const address = outcome.kind === 'granted' ? outcome.mapping.externalAddress : undefined
  if (address === undefined || gateway.name !== 'present') return state
  const external = { kind: 'address', address } as const
  const checkAt = isUsable(external) ? gateway.checkAt : now + ADDRESS_AGAIN_MS.address
  return { ...state, gateway: { ...gateway, external, checkAt }, last: { address: gateway.address, external } }
}

function answered(entry: EntryState, outcome: MapOutcome, now: number): EntryState {
  if (outcome.kind === 'granted') {
    const { mapping } = outcome
    const halfMs = (Math.min(mapping.leaseS || LEASE_S, MAX_LEASE_S) * 1000) / 2
    const endsAt = mapping.leaseS === 0 ? Number.POSITIVE_INFINITY : now + mapping.leaseS * 1000
    return { name: 'kept', mapping, renewAt: now + Math.max(MIN_RENEWAL_MS, halfMs), endsAt }
  }
  const failures = entry.name === 'asking' ? entry.failures : 0
  const ownDelay = Math.max(FIRST_ASK_AGAIN_MS[outcome.kind] * 2 ** failures, (outcome.againS ?? 0) * 1000)
  const delay = Math.min(MAX_ASK_AGAIN_MS, ownDelay)
  return {
    name: 'waiting',
    askAt: now + delay,
    failures: failures + 1,
    wasPort: portOf(entry),
    problem: outcome.kind === 'aborted' ? undefined : outcome.message,
    unanswered: outcome.kind === 'no-answer',
  }
}

function checked(state: PortMappingState, result: 'kept' | 'lost' | 'no-answer', now: number): PortMappingStep {
  const { gateway } = state
  if (gateway.name !== 'present') return stay(state)
  if (result === 'lost') return search(state, 0)
  const missed = result === 'kept' ? 0 : gateway.missed + 1
  if (missed >= MAX_MISSED_CHECKS) return search(state, 0)
  const checkAt = now + (missed > 0 ? CHECK_AGAIN_MS : gateway.checkPeriodMs)
  return due({ ...state, gateway: { ...gateway, missed, checkAt } }, now)
}

function heard(
  state: PortMappingState,
  news: Extract<PortMappingEvent, { name: 'news' }>,
  now: number,
): PortMappingStep {
  const { gateway } = state
  switch (gateway.name) {
    case 'searching':
      return stay(state)
    case 'absent':
      return news.kind === 'byebye' ? stay(state) : search(state, 0)
    case 'present': {
      if (news.address !== gateway.address || now < gateway.deafUntil) return stay(state)
      // It says farewell before it restarts, too: the search then finds nothing and is repeated until it is back.
      if (news.kind === 'byebye') return search(state, 0)
      if (news.kind === 'announced') {
        // One look renews what is held, and tells whether the address is another one.
        if (gateway.checkAt === undefined) return stay(state)
        const deafUntil = now + DEAF_TO_ANNOUNCEMENTS_MS
        return due({ ...state, gateway: { ...gateway, deafUntil, checkAt: now } }, now)
      }
      if (news.life === undefined) return stay(state)
      if (gateway.life !== undefined && gateway.life !== news.life) return search(state, 0)
      // Its first word may be about a start that we missed: one look tells.
      const checkAt = gateway.life === undefined ? now : gateway.checkAt
      return due(
        { ...state, gateway: { ...gateway, life: news.life, checkAt, checkPeriodMs: CHECK_ANNOUNCED_MS } },
        now,
      )
    }
    default:
      return gateway satisfies never
  }
}

/** A mapping whose router is gone ends with its lease. */
function forgetEnded(state: PortMappingState, now: number): PortMappingState {
  const forget = (entry: EntryState): EntryState => (endOf(entry) <= now ? waiting(now, portOf(entry)) : entry)
  return { ...state, tcp: forget(state.tcp), udp: forget(state.udp) }
}

function endOf(entry: EntryState): number {
  return entry.name === 'kept' ? entry.endsAt : Number.POSITIVE_INFINITY
}

function portOf(entry: EntryState): number | undefined {
  return entry.name === 'waiting' ? entry.wasPort : heldMapping(entry)?.externalPort
}
