import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { aborting } from '../../common/platform/aborting.ts'
import { type Clock, pause, type Timer } from '../../common/platform/clock.ts'
import { dialTcp } from '../../common/platform/tcp.ts'

/** RFC 8305 §5: the next address gets its turn while the one before still hangs. */
const NEXT_ADDRESS_MS = 250
/** The SYN of a connection that hangs is sent ever more rarely; when a line is back, a fresh one is through at once. */
const DIAL_AGAIN_MS = 1_000
/** DNS that takes longer is taken to be away where we know an address from before. */
const DNS_PATIENCE_MS = 1_000
const MAX_ADDRESSES = 4

/** A host by name, with what was learnt of it while the agent runs. */
export interface KnownHost {
  readonly name: string
  /** Where it was reached last: DNS may be away while the host is not. */
  address?: string
  /** A question under way. One that hangs holds a thread of the process, so there is never a second one. */
  asking?: Promise<readonly string[]>
}

/** Connects to one of the host's addresses, and dials anew while nothing answers, until the signal aborts. */
export async function openRelaySocket(
  known: KnownHost,
  port: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  const addresses = await addressesOf(known, clock, signal)
  const done = new AbortController()
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    let dialled = 0
    let hanging = 0
    const finish = () => {
      timer?.cancel()
      signal.removeEventListener('abort', abort)
      done.abort()
    }
    const abort = () => {
      finish()
      reject(new CulvertError('aborted', `connecting to ${known.name} was aborted`, { cause: signal.reason }))
    }
    const succeed = (socket: Socket, address: string) => {
      socket.on('error', () => undefined)
      if (done.signal.aborted) {
        socket.destroy()
        return
      }
      finish()
      known.address = address
      resolve(socket)
    }
    const fail = (thrown: unknown) => {
      hanging--
      if (done.signal.aborted) return
      if (dialled % addresses.length !== 0) {
        dial()
      } else if (hanging === 0) {
        finish()
        reject(thrown)
      }
    }
    const dial = () => {
      const address = addresses[dialled % addresses.length] ?? known.name
      dialled++
      hanging++
      timer?.cancel()
      timer = clock.after(dialled % addresses.length === 0 ? DIAL_AGAIN_MS : NEXT_ADDRESS_MS, dial)
      dialTcp({ address, port }, { signal: done.signal }).then(socket => succeed(socket, address), fail)
    }
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    else dial()
  })
}

/** The addresses that DNS tells; where it is away, the one that worked last. */
async function addressesOf(known: KnownHost, clock: Clock, signal: AbortSignal): Promise<readonly string[]> {
  if (isIP(known.name)) return [known.name]
  known.asking ??= lookup(known.name, { all: true })
    .then(found => found.map(({ address }) => address).slice(0, MAX_ADDRESSES))
    .finally(() => {
      delete known.asking
    })
  if (known.address === undefined) return aborting(known.asking, signal)
  const last = [known.address]
  const told = await Promise.race([known.asking.catch(() => last), pause(clock, DNS_PATIENCE_MS, signal)])
  return Array.isArray(told) && told.length > 0 ? told : last
}
