import { CulvertError } from '../../common/errors.ts'
import { decodeInvite, type InviteCode } from '../../common/wire/invite-code.ts'
import type { AgentConfig } from './agent-config.ts'
import { usualStateDir } from './config-basics.ts'
import { type ConfigFault, textFault } from './config-fault.ts'
import { parseJsonText } from './json-text.ts'
import { parseConfig, repeatedKeyFault } from './parse-config.ts'
import { IS_RELAY_CONFIG, isRelayConfig } from './relay-config.ts'
import { withRelays } from './written-config.ts'

/** What a part of a config comes to, put over the config that is there; faults name the file that has them. */
export type BootFileResult =
  | {
      readonly ok: true
      readonly config: AgentConfig
      /** The whole config as it is to be written. */
      readonly text: string
      readonly warnings: readonly ConfigFault[]
      /** The join code in the part, which is no part of the config. */
      readonly join: string | undefined
    }
  | { readonly ok: false; readonly file: 'part' | 'present'; readonly faults: readonly ConfigFault[] }

type JsonObject = Readonly<Record<string, unknown>>

const NO_OBJECT: ConfigFault = {
  place: 'the file',
  value: undefined,
  problem: 'holds no object',
  remedy: 'write { ... } around all of it',
}

/**
 * Puts a part of a config (`part`, the text of the file on the boot partition) over the config that is at `path`, or over
 * an empty one. Objects go into each other key by key, so that a part that names one more peer keeps the others; all else is
 * replaced, lists too. `join` is a code by which the device gets into a network: its relays are added to those of the config.
 */
export function mergeBootFile(part: string, present: string | undefined, path: string): BootFileResult {
  const written = readObject(part)
  if ('faults' in written) return { ok: false, file: 'part', faults: written.faults }
  if (isRelayConfig(written.value)) return { ok: false, file: 'part', faults: [IS_RELAY_CONFIG] }
  let base: JsonObject = { stateDir: usualStateDir(path) }
  if (present !== undefined) {
    const before = parseConfig(present, path)
    if (!before.ok) return { ok: false, file: 'present', faults: before.faults }
    base = asObject(JSON.parse(present.replace(/^\uFEFF/, ''))) ?? base
  }
  const { join, ...config } = written.value
  const code = join === undefined ? undefined : codeIn(join)
  if (code && 'problem' in code) return { ok: false, file: 'part', faults: [code] }
  const text = `${JSON.stringify(withRelays(merge(base, config), code?.relays ?? []), null, 2)}\n`
  const after = parseConfig(text, path)
  if (!after.ok) return { ok: false, file: 'part', faults: after.faults }
  return { ok: true, config: after.config, text, warnings: after.warnings, join: code && String(join) }
}

function codeIn(written: unknown): InviteCode | ConfigFault {
  const remedy = 'write the line that "culvert invite" printed'
  // Of a secret nothing is shown.
  const fault = (problem: string) => ({ place: 'join', value: undefined, problem, remedy })
  if (typeof written !== 'string') return fault('is no text')
  try {
    return decodeInvite(written)
  } catch (thrown) {
    return fault(thrown instanceof CulvertError && thrown.code !== 'usage' ? `(${thrown.message})` : 'is no join code')
  }
}

function readObject(text: string): { readonly value: JsonObject } | { readonly faults: readonly ConfigFault[] } {
  const json = parseJsonText(text.replace(/^\uFEFF/, ''))
  if (!json.ok) return { faults: [textFault(json.fault)] }
  const value = asObject(json.value)
  if (!value) return { faults: [NO_OBJECT] }
  if (json.repeatedKeys.length > 0) return { faults: json.repeatedKeys.map(repeatedKeyFault) }
  return { value }
}

function merge(base: JsonObject, over: JsonObject): JsonObject {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(over)) {
    const [below, above] = [asObject(merged.get(key)), asObject(value)]
    merged.set(key, below && above ? merge(below, above) : value)
  }
  // Its entries are own keys, whatever their names: `__proto__` is then refused like any other unknown key.
  return Object.fromEntries(merged)
}

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
}
