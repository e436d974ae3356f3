import { basename } from 'node:path'
import type { ConfigFault } from './config-fault.ts'
import { nearest } from './nearest.ts'

/** What a file is told to be that holds a relay's config where an agent's should be. */
export const IS_RELAY_CONFIG: ConfigFault = {
  place: 'the file',
  value: undefined,
  problem: "is a relay's config, not an agent's",
  remedy: 'run it with "culvert relay --config FILE"; "culvert init" makes one for an agent',
}

/** By what only a relay has: `listen` as a text, `stun` and `admit`; a file with an agent's keys is an agent's. */
export function isRelayConfig(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (['stateDir', 'peers', 'relays', 'services', 'forwards'].filter(key => Object.hasOwn(value, key)).length > 1) {
    return false
  }
  const listens = 'listen' in value && typeof value.listen === 'string'
  return listens || Object.hasOwn(value, 'stun') || Object.hasOwn(value, 'admit')
}

const RELAY_KEYS = ['tls', 'url', 'stun', 'admit', 'limits', 'admin']
const AGENT_KEYS = ['name', 'controlSocket', 'relays', 'peers', 'nat', 'lan', 'relay', 'services', 'forwards']

/** Whether a faulty file at `path` was meant as a relay's: by the keys that its own are nearest to, else by its name. */
export function isMeantForRelay(value: unknown, path: string): boolean {
  if (isRelayConfig(value)) return true
  if (typeof value !== 'object' || value === null) return false
  let sway = 0
  for (const [key, inner] of Object.entries(value)) {
    const near = nearest(key, [...RELAY_KEYS, ...AGENT_KEYS, 'listen', 'stateDir', 'log'])
    if (near === undefined) continue
    if (RELAY_KEYS.includes(near) || (near === 'listen' && typeof inner === 'string')) sway++
    if (AGENT_KEYS.includes(near)) sway--
  }
  return sway > 0 || (sway === 0 && basename(path) === 'relay.json')
}
