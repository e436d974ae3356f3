import {
  type DatachannelAttempt,
  type DatachannelOptions,
  type DatachannelPath,
  startDatachannel,
} from '../../agent/path/datachannel/attempt.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'

const silentLog = createLog({ level: 'error', style: 'words', write: () => undefined })

export interface AttemptPair {
  readonly offerer: DatachannelAttempt
  readonly answerer: DatachannelAttempt
}

/** Both ends of one attempt in this process, on loopback, with their signals joined. */
export function startPair(
  overrides: {
    readonly offerer?: Partial<DatachannelOptions>
    readonly answerer?: Partial<DatachannelOptions>
    /** What becomes of a signal on its way; undefined = it is lost. */
    readonly pass?: (signal: IceSignal, from: 'offerer' | 'answerer') => IceSignal | undefined
  } = {},
): AttemptPair {
  const pass = overrides.pass ?? (signal => signal)
  const common = {
    stunServers: [],
    udpPort: undefined,
    mappedEndpoint: undefined,
    clock: systemClock,
    bindAddress: '127.0.0.1',
    log: silentLog,
    // A loaded machine must not fail a test that is not about time.
    timeoutMs: 15_000,
    signal: new AbortController().signal,
  }
  const deliver = (signal: IceSignal, from: 'offerer' | 'answerer', to: () => DatachannelAttempt) => {
    const passed = pass(signal, from)
    if (passed) queueMicrotask(() => to().receive(passed))
  }
  const offerer: DatachannelAttempt = startDatachannel({
    ...common,
    role: 'offerer',
    peer: 'answerer',
    send: signal => deliver(signal, 'offerer', () => answerer),
    ...overrides.offerer,
  })
  const answerer: DatachannelAttempt = startDatachannel({
    ...common,
    role: 'answerer',
    peer: 'offerer',
    send: signal => deliver(signal, 'answerer', () => offerer),
    ...overrides.answerer,
  })
  return { offerer, answerer }
}

/** Two ends of an open path. */
export async function connectPair(
  overrides: Parameters<typeof startPair>[0] = {},
): Promise<readonly [DatachannelPath, DatachannelPath]> {
  const { offerer, answerer } = startPair(overrides)
  return await Promise.all([offerer.done, answerer.done])
}
