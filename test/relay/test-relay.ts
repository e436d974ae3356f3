import type { ExecutionContext } from 'ava'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { relayOptionsOf } from '../../relay/options.ts'
import { type Relay, type RelayDoors, startRelay } from '../../relay/relay.ts'

export interface TestRelay {
  readonly relay: Relay
  readonly key: KeyPair
  readonly logged: readonly string[]
}

/** No time passes, so that a slow machine is not given new tokens as fast as it uses them up; timers run. */
export const stillClock: Clock = { ...systemClock, now: () => 0 }

/** Who is late here is late because the machine is slow; tests that are about being late say how late. */
const PATIENT = { helloMs: 120_000, ticketLifeMs: 120_000, headersMs: 120_000, bindRetryMs: 60_000 }

/** A real relay on free loopback ports, stopped when the test ends. Options are those of the config file. */
export async function testRelay(
  t: ExecutionContext,
  options: Readonly<Record<string, unknown>> = {},
  doors: Partial<RelayDoors> = {},
): Promise<TestRelay> {
  const parsed = relayOptionsOf({ listen: '127.0.0.1:0', stun: false, ...options })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults))
  const key = doors.key ?? generateKeyPair()
  const logged: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => logged.push(line) })
  const timing = { ...PATIENT, ...doors.timing }
  const relay = await startRelay(parsed.options, {
    clock: systemClock,
    random: systemRandom,
    log,
    key,
    ...doors,
    timing,
  })
  t.teardown(() => relay.stop())
  return { relay, key, logged }
}
