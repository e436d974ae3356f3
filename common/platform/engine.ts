import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * What V8 spends on speed, and an agent at rest has no use for. Its flags are meant for the start of a process; those
 * named here are read anew at each decision, so they take effect at once both ways.
 */
const COMPILERS = ['maglev', 'turbofan'] as const
/**
 * How often a function without faster code is called until V8 decides about it again. Without Maglev it would be as rare
 * as for TurboFan, and what was called at rest would stay slow long after; so it is as for Maglev.
 */
const CALLS_BETWEEN_DECISIONS = '--invocation-count-for-turbofan'
const CALLS_AT_REST = 400
const CALLS_AWAKE = 3_000

/** Ours: a service that is asked now and then needs none of them, a keystroke is 0.2 ms faster with them. */
const WAKE_AT = 64

/**
 * Where much survives, as with many streams or handshakes, V8 doubles its young generation each time, to 134 MB on a large
 * machine, and fills all of it with garbage before it begins anew. Its limit is for the command line, its pace is not.
 */
const GROWTH = '--semi-space-growth-factor'
const V8_GROWTH = 2
/** What it grows to by itself while one stream moves at full speed. */
const YOUNG_BYTES = 8 * 1024 * 1024
/** A look takes 10 us; at 2 Gbit/s this makes it a hundred a second. */
const LOOK_EVERY = 256

let atRest = false
let traffic = 0
let mayGrow = true
let looked = 0

/**
 * From now on nothing new is compiled for speed. One function that is brings 7 MB of compiler into memory, and some of
 * those that run at start are hot enough; what is compiled already stays so.
 */
export function restCompilers(): void {
  traffic = 0
  if (atRest) return
  atRest = true
  for (const compiler of COMPILERS) setFlagsFromString(`--no-${compiler}`)
  setFlagsFromString(`${CALLS_BETWEEN_DECISIONS}=${CALLS_AT_REST}`)
}

/** User bytes went in or out: after some of that, hot functions are compiled again. */
export function noteTraffic(): void {
  if (mayGrow && ++looked % LOOK_EVERY === 0) boundYoungGeneration()
  if (!atRest || ++traffic < WAKE_AT) return
  atRest = false
  for (const compiler of COMPILERS) setFlagsFromString(`--${compiler}`)
  setFlagsFromString(`${CALLS_BETWEEN_DECISIONS}=${CALLS_AWAKE}`)
}

/** To be called now and then while there is work: ends the growth of the young generation once it is large enough. */
export function boundYoungGeneration(): void {
  if (!mayGrow) return
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  if (!young || young.space_size < YOUNG_BYTES) return
  mayGrow = false
  setFlagsFromString(`${GROWTH}=1`)
}

/** What the heap holds in memory, free space in it included, and the buffers outside of it. */
export function heldBytes(): number {
  const { total_physical_size, external_memory } = getHeapStatistics()
  return total_physical_size + external_memory
}

/**
 * Collects all garbage and gives the pages back that V8 keeps for more. Blocks for about 40 ms, on a small board
 * for several times that: V8 does the same in small steps, but not before it was told to have a calm program.
 */
export function giveBackMemory(): void {
  collect ??= collector()
  if (typeof collect !== 'function') return
  // What ran at start only is compiled again in case it is called.
  setFlagsFromString(`${COLLECTIONS_UNTIL_OLD}=1`)
  Reflect.apply(collect, undefined, [{ type: 'major', flavor: 'last-resort' }])
  setFlagsFromString(`${COLLECTIONS_UNTIL_OLD}=6`)
  // It is small now, and has to grow again for what comes.
  mayGrow = true
  setFlagsFromString(`${GROWTH}=${V8_GROWTH}`)
}

let collect: unknown
/** Collections that the code of a function outlives without a call; V8's own choice is six. */
const COLLECTIONS_UNTIL_OLD = '--bytecode-old-age'

/** V8 offers its collector to new contexts only, and only with this flag. */
function collector(): unknown {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return found
}
