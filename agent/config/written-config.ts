import type { InviteRelay } from '../../common/wire/invite-code.ts'

/** A config as JSON: what its owner wrote, with no default filled in. */
export type WrittenConfig = Readonly<Record<string, unknown>>

/** The table under a key with one entry replaced, or with `undefined` removed. */
export function withEntry(written: WrittenConfig, table: string, name: string, value: unknown): WrittenConfig {
  const there = Object.hasOwn(written, table) ? Object.entries(written[table] as object) : []
  const at = there.findIndex(([other]) => other === name)
  if (at < 0 && value === undefined) return written
  const others = there.filter(([other]) => other !== name)
  const entry = value === undefined ? [] : [[name, value] as const]
  const kept = at < 0 ? others.length : at
  const entries = [...others.slice(0, kept), ...entry, ...others.slice(kept)]
  return { ...written, [table]: Object.fromEntries(entries) }
}

/** An entry of the table under a key; undefined when there is none. */
export function entryOf(written: WrittenConfig, table: string, name: string): WrittenConfig | undefined {
  const there = Object.hasOwn(written, table) ? (written[table] as WrittenConfig) : {}
  return Object.hasOwn(there, name) ? (there[name] as WrittenConfig) : undefined
}

/** The list in a config, with those behind it that are not in it. */
export function withRelays(written: WrittenConfig, relays: readonly InviteRelay[]): WrittenConfig {
  const there: readonly unknown[] = Array.isArray(written.relays) ? written.relays : []
  const known = new Set(there.map(hrefOf))
  const added = relays.filter(relay => !known.has(hrefOf(relay)))
  return added.length > 0 ? { ...written, relays: [...there, ...added] } : written
}

function hrefOf(relay: unknown): string | undefined {
  const url = typeof relay === 'object' && relay !== null && 'url' in relay ? relay.url : undefined
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).href : undefined
}
