import type { ConfigFault } from './config-fault.ts'

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
