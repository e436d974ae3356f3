import { connect } from 'node:net'
import { reasonOf } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Service } from './services.ts'

const CONNECT_MS = 1_000
/** Of a config with more, the first ones show what there is to show. */
const MAX_CHECKED = 32

/** Why the target of a service takes no connection; UDP tells nothing without a question of its own protocol. */
export interface TargetFault {
  readonly service: Service
  readonly why: string
}

/** Connects to each target once, all at a time, and sends nothing. */
export async function checkTargets(
  services: readonly Service[],
  doors: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly TargetFault[]> {
  const checks = services.slice(0, MAX_CHECKED).map(async service => ({ service, why: await faultOf(service, doors) }))
  return (await Promise.all(checks)).flatMap(({ service, why }) => (why === undefined ? [] : [{ service, why }]))
}

function faultOf(
  { target }: Service,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<string | undefined> {
  if (target.kind === 'udp') return Promise.resolve(undefined)
  const limit = deadline(clock, CONNECT_MS, signal)
  return new Promise(resolve => {
    const socket =
      target.kind === 'unix' ? connect({ path: target.path }) : connect({ host: target.host, port: target.port })
    const give = (why: string | undefined) => {
      limit.done()
      limit.signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(why)
    }
    const onAbort = () => give(signal.aborted ? undefined : `no answer in ${CONNECT_MS / 1000} s`)
    limit.signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', thrown => give(reasonOf(thrown)))
    socket.once('connect', () => give(undefined))
    if (limit.signal.aborted) onAbort()
  })
}
