import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import type * as z from 'zod/mini'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { AgentConfig } from './agent-config.ts'
import { controlSocketIn } from './config-basics.ts'
import { type ConfigFault, formatPlace, showValue, textFault, valueAt } from './config-fault.ts'
import { configSchema, REMEDY_SEPARATOR } from './config-schema.ts'
import { crossCheck } from './cross-check.ts'
import { type JsonPath, parseJsonText } from './json-text.ts'
import { nameFromHost } from './name.ts'
import { IS_RELAY_CONFIG, isRelayConfig } from './relay-config.ts'
import { unknownKeyFault } from './unknown-key.ts'

/** What a config text comes to: a config, or every fault in it; warnings either way. */
export type ConfigResult =
  | { readonly ok: true; readonly config: AgentConfig; readonly warnings: readonly ConfigFault[] }
  | { readonly ok: false; readonly faults: readonly ConfigFault[]; readonly warnings: readonly ConfigFault[] }

/** A file with more faults than this is no config; the last entry tells how many were left out. */
const FAULTS_LIMIT = 200

/** Reads a config text that stands at `path`, to which relative paths in it refer. `host` names an unnamed agent. */
export function parseConfig(text: string, path: string, host: string = hostname()): ConfigResult {
  const json = parseJsonText(text.replace(/^\uFEFF/, ''))
  if (!json.ok) return failed([textFault(json.fault)], [])
  if (isRelayConfig(json.value)) return failed([IS_RELAY_CONFIG], [])
  const base = dirname(resolve(path))
  const parsed = configSchema.safeParse(json.value)
  const controlSocket = controlSocketIn(json.value, path)
  const cross = crossCheck(json.value, controlSocket)
  const issues = parsed.error?.issues ?? []
  const faults = [
    ...json.repeatedKeys.map(repeatedKeyFault),
    ...issues.flatMap(issue => faultsOf(issue, json.value)),
    ...cross.faults,
  ]
  if (!parsed.success || faults.length > 0 || controlSocket === undefined) {
    return failed(faults, cross.warnings)
  }
  const { $schema: _, ...written } = parsed.data
  const name = written.name ?? nameFromHost(host)
  const config = { ...written, name, stateDir: resolve(base, written.stateDir), controlSocket }
  return { ok: true, config, warnings: cross.warnings }
}

/** An agent cannot be its own peer; known only once there is an identity. */
export function ownIdFaults(config: AgentConfig, own: PeerId): readonly ConfigFault[] {
  return Object.entries(config.peers)
    .filter(([, peer]) => peer.id === own)
    .map(([name]) => ({
      place: formatPlace(['peers', name, 'id']),
      value: showValue(own),
      problem: "is this machine's own id",
      remedy: 'write the id that "culvert id" prints on the other machine',
    }))
}

function failed(faults: readonly ConfigFault[], warnings: readonly ConfigFault[]): ConfigResult {
  const byPlace = new Map<string, ConfigFault>()
  // A text that is wrong in two ways is one fault: the first sentence is the plainer one.
  for (const fault of faults) if (!byPlace.has(fault.place)) byPlace.set(fault.place, fault)
  const all = [...byPlace.values()]
  if (all.length <= FAULTS_LIMIT) return { ok: false, faults: all, warnings }
  const more = all.length - FAULTS_LIMIT
  const rest = { place: 'the file', value: undefined, problem: `has ${more} more faults`, remedy: 'mend these first' }
  return { ok: false, faults: [...all.slice(0, FAULTS_LIMIT), rest], warnings }
}

function faultsOf(issue: z.core.$ZodIssue, root: unknown): readonly ConfigFault[] {
  const path: JsonPath = issue.path.map(step => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') return issue.keys.map(key => unknownKeyFault(path, key))
  const { message } = issue
  const value = valueAt(root, path)
  const at = message.indexOf(REMEDY_SEPARATOR)
  const remedy = message.slice(at + REMEDY_SEPARATOR.length)
  const problem = value === undefined ? 'is missing' : message.slice(0, at)
  return [{ place: formatPlace(path), value: showValue(value), problem, remedy }]
}

export function repeatedKeyFault(path: JsonPath): ConfigFault {
  const place = formatPlace(path)
  return { place, value: showValue(path.at(-1)), problem: 'is there twice', remedy: 'remove one of the two' }
}
