/**
 * How a NAT with address-and-port-dependent mapping chooses its outside ports (RFC 4787 §4.2.1), and what can be
 * foretold of them.
 */
export type PortPattern =
  /** The inside port, as long as it is free. */
  | { readonly kind: 'preserved' }
  /** Each mapping gets the last one's port and `step`, which may be negative. */
  | { readonly kind: 'sequential'; readonly last: number; readonly step: number }
  /** Any port of a small range, as carriers give their customers (RFC 7422). */
  | { readonly kind: 'block'; readonly window: PortWindow }
  | { readonly kind: 'random' }

/** `count` ports from `first` on. */
export interface PortWindow {
  readonly first: number
  readonly count: number
}

/** What a server saw of one fresh socket; samples stand in the order in which they were sent. */
export interface PortSample {
  readonly local: number
  readonly outside: number
}

/** Below are the ports that NATs do not give out (RFC 4787 §4.2.1). */
const LOWEST_PORT = 1024
export const ALL_PORTS: PortWindow = { first: LOWEST_PORT, count: 65_536 - LOWEST_PORT }

/** More than this between two mappings that follow each other is no sequence: a busy home makes some flows a second. */
const MAX_GAP = 64
/** Eight samples of a random NAT lie within this with a chance of four in a million. */
const MAX_BLOCK_SPREAD = 8_192
/** Fewer do not tell a block from chance. */
const MIN_BLOCK_SAMPLES = 6
/** Eight samples span seven ninths of their block, on average; this much is added at each end. */
const BLOCK_MARGIN = 0.25

/** Names the pattern; undefined when too few samples came back. */
export function classifyPorts(samples: readonly PortSample[]): PortPattern | undefined {
  const last = samples.at(-1)
  if (!last || samples.length < 3) return undefined
  if (samples.every(({ local, outside }) => local === outside)) return { kind: 'preserved' }
  const ports = samples.map(({ outside }) => outside)
  const step = stepOf(ports)
  if (step !== undefined) return { kind: 'sequential', last: last.outside, step }
  const low = Math.min(...ports)
  const high = Math.max(...ports)
  if (ports.length < MIN_BLOCK_SAMPLES || high - low >= MAX_BLOCK_SPREAD) return { kind: 'random' }
  const margin = Math.ceil((high - low) * BLOCK_MARGIN)
  return { kind: 'block', window: windowOf(low - margin, high + margin) }
}

/**
 * The step of a sequence, undefined when it is none. Other flows take ports in between, so the step is what all gaps
 * are multiples of. One gap of any size is where the NAT began its range again, if there are enough others.
 */
function stepOf(ports: readonly number[]): number | undefined {
  const gaps = ports.slice(1).map((port, i) => port - (ports[i] ?? 0))
  const small = gaps.filter(gap => gap !== 0 && Math.abs(gap) <= MAX_GAP)
  const wraps = gaps.length >= 4 ? 1 : 0
  if (small.length < gaps.length - wraps || small.length === 0) return undefined
  const up = (small[0] ?? 0) > 0
  if (small.some(gap => gap > 0 !== up)) return undefined
  const step = small.map(Math.abs).reduce(greatestCommonDivisor)
  return up ? step : -step
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/**
 * The ports that a flow can have which was sent between two others: strictly between theirs. Undefined when nothing is
 * foretold by that: the NAT draws its ports, or began its range again just then.
 */
export function portsBetween(before: PortSample, after: PortSample, local: number): PortWindow | undefined {
  if (before.local === before.outside && after.local === after.outside) return { first: local, count: 1 }
  const gap = after.outside - before.outside
  if (Math.abs(gap) < 2 || Math.abs(gap) > MAX_GAP) return undefined
  return windowOf(Math.min(before.outside, after.outside) + 1, Math.max(before.outside, after.outside) - 1)
}

/** The ports that the next `flows` flows get at most; undefined when they cannot be foretold. */
export function nextPorts(pattern: PortPattern, flows: number): PortWindow | undefined {
  if (pattern.kind !== 'sequential') return undefined
  const { last, step } = pattern
  const near = last + step
  const far = last + step * flows
  return windowOf(Math.min(near, far), Math.max(near, far))
}

/**
 * The port that a peer should aim at when `flows` of ours are about to start. Ports that others take meanwhile push
 * ours on, so it is one of the last; the very last is left for what we do not know.
 */
export function portToAimAt(pattern: PortPattern, flows: number): number | undefined {
  if (pattern.kind !== 'sequential') return undefined
  const port = pattern.last + pattern.step * Math.max(1, flows - 1)
  return port >= LOWEST_PORT && port <= 65_535 ? port : undefined
}

function windowOf(low: number, high: number): PortWindow {
  const first = Math.max(low, LOWEST_PORT)
  return { first, count: Math.max(1, Math.min(high, 65_535) - first + 1) }
}
