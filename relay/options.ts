import { open } from 'node:fs/promises'
import type * as z from 'zod/mini'
import { CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import { handingToUs } from '../common/platform/service-reader.ts'
import { editDistance } from './edit-distance.ts'
import { REMEDY_SEPARATOR, relayConfigSchema, relaySchema } from './options-schema.ts'

/** The relay's options with every default filled in. */
export type RelayOptions = Readonly<z.output<typeof relaySchema>>

/** One thing wrong with a config: where, what stands there, what is wrong with it, and what to write instead. */
export interface OptionFault {
  readonly place: string
  /** As JSON, shortened; undefined where nothing stands. */
  readonly value: string | undefined
  readonly problem: string
  readonly remedy: string
}

export type OptionsResult =
  | { readonly ok: true; readonly options: RelayOptions }
  | { readonly ok: false; readonly faults: readonly OptionFault[] }

type Path = readonly PropertyKey[]

const MAX_CONFIG_BYTES = 256 * 1024
const MAX_FAULTS = 100

/** Reads and validates a config file; `bad-config` lists every fault, one line each, with the file's name. */
export async function loadRelayOptions(file: string): Promise<RelayOptions> {
  const result = parseRelayOptions(await readText(file))
  if (result.ok) return result.options
  throw new CulvertError('bad-config', result.faults.map(fault => `${file}: ${formatOptionFault(fault)}`).join('\n'))
}

async function readText(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r')
    const stat = await handle.stat()
    if (!stat.isFile()) throw new CulvertError('bad-config', 'no regular file')
    if (stat.size > MAX_CONFIG_BYTES) throw new CulvertError('bad-config', `more than ${MAX_CONFIG_BYTES} bytes`)
    return await handle.readFile('utf8')
  } catch (cause) {
    const denied = systemCodeOf(cause) === 'EACCES'
    const remedy = (denied ? handingToUs(file) : undefined) ?? "correct --config or the file's owner"
    const message = `${file}: cannot be read (${reasonOf(cause)}); ${remedy}`
    throw new CulvertError('bad-config', message, { cause })
  }
}

/** The options in a config text, or every fault in it. */
export function parseRelayOptions(text: string): OptionsResult {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (thrown) {
    return { ok: false, faults: [fileFault(`is no JSON: ${reasonOf(thrown)}`, 'correct it there')] }
  }
  if (isAgentConfig(value)) {
    const remedy = 'run it with "culvert agent --config FILE"; a relay needs no config, or one of its own'
    return { ok: false, faults: [fileFault("is an agent's config, not a relay's", remedy)] }
  }
  return relayOptionsOf(value)
}

/** By what only an agent has. */
function isAgentConfig(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return ['peers', 'relays', 'services', 'forwards'].filter(key => Object.hasOwn(value, key)).length > 1
}

/** The same for a value that is no text: a parsed file, or options made in code. */
export function relayOptionsOf(value: unknown): OptionsResult {
  const parsed = relaySchema.safeParse(value)
  if (parsed.success) return { ok: true, options: parsed.data }
  const faults = parsed.error.issues.flatMap(issue => faultsOf(issue, [], value))
  return { ok: false, faults: faults.slice(0, MAX_FAULTS) }
}

/** `stun.port: "x" is no whole number from 0 to 65534; write such a number, without quotes` */
export function formatOptionFault({ place, value, problem, remedy }: OptionFault): string {
  return `${place}: ${value === undefined ? '' : `${value} `}${problem}; ${remedy}`
}

function faultsOf(issue: z.core.$ZodIssue, base: Path, root: unknown): readonly OptionFault[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKey(path, key))
  if (issue.code === 'invalid_union') {
    // The alternative that the value was meant to be is the one whose faults lie inside of it.
    const meant = issue.errors.find(inner => inner.some(one => one.path.length > 0 || one.code === 'unrecognized_keys'))
    if (meant) return meant.flatMap(inner => faultsOf(inner, path, root))
  }
  const standing = valueAt(root, path)
  if (standing === undefined) {
    return [{ place: placeOf(path), value: undefined, problem: 'is missing', remedy: remedyOf(issue.message) }]
  }
  const [problem = issue.message] = issue.message.split(REMEDY_SEPARATOR)
  return [{ place: placeOf(path), value: show(standing), problem, remedy: remedyOf(issue.message) }]
}

function remedyOf(message: string): string {
  return message.split(REMEDY_SEPARATOR)[1] ?? 'see the JSON Schema of this file'
}

function unknownKey(path: Path, key: string): OptionFault {
  const known = keysAt(relayConfigSchema(), path)
  const near = known.toSorted((a, b) => editDistance(key, a) - editDistance(key, b))[0]
  const close = near !== undefined && editDistance(key, near) <= Math.max(1, Math.floor(key.length / 3))
  const remedy = close ? `did you mean "${near}"?` : `remove it; the keys known here are ${known.join(', ')}`
  return { place: placeOf([...path, key]), value: show(key), problem: 'is no known key', remedy }
}

/** The keys that the JSON Schema has at this path. */
function keysAt(schema: unknown, path: Path): readonly string[] {
  const [step, ...rest] = path
  const inside = [schema, ...listAt(schema, 'anyOf')]
  for (const one of inside) {
    const properties = valueAt(one, ['properties'])
    if (typeof properties !== 'object' || properties === null) continue
    if (step === undefined) return Object.keys(properties).filter(key => key !== '$schema')
    return keysAt(valueAt(properties, [step]), rest)
  }
  return []
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = valueAt(value, [key])
  return Array.isArray(list) ? list : []
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = Reflect.get(value, step)
  }
  return value
}

function placeOf(path: Path): string {
  let place = ''
  for (const step of path) {
    if (typeof step === 'number') place += `[${step}]`
    else if (!/^[\w$-]{1,64}$/.test(String(step))) place += `[${show(String(step))}]`
    else place += `${place === '' ? '' : '.'}${String(step)}`
  }
  return place === '' ? 'the file' : place
}

/** As JSON, safe on a terminal. */
function show(value: unknown): string {
  const shown = JSON.stringify(typeof value === 'string' ? value.slice(0, 200) : value) ?? String(value)
  return shown.replace(/[\u007f-\u009f\u2028\u2029]/g, '?').slice(0, 80)
}

function fileFault(problem: string, remedy: string): OptionFault {
  return { place: 'the file', value: undefined, problem, remedy }
}
