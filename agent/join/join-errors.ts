import { CulvertError } from '../../common/errors.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'

/** `2026-11-27 13:05 UTC`. */
export function formatDate(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** One network at a time: to leave one means to lose what it gave, so nothing does that on the way. */
export function inAnother(network: PeerId, stateDir: string): CulvertError {
  const what = `this device belongs to the network ${shortPeerId(network)} already, and to one at a time`
  return new CulvertError(
    'usage',
    `${what}; to leave that one, stop the agent and move ${stateDir}/network away (and network.key, if it is there: it stays the key of that network)`,
  )
}
