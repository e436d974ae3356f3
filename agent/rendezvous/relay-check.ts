import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { aborting } from '../../common/platform/aborting.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { decodeRelayMessage, MAX_RELAY_MESSAGE_BYTES } from '../../common/wire/relay-message.ts'
import { largePacketsPass } from './large-packets.ts'
import { isSecure, openRelayTcp, type RelayAddress, readHttpAnswer, startRelayTls } from './relay-dial.ts'

/** The steps to a relay, in order. `answer`: something speaks HTTP there; `relay`: a culvert relay; `id`: the right one. */
export const RELAY_STEPS = ['name', 'tcp', 'tls', 'answer', 'relay', 'id'] as const
export type RelayStep = (typeof RELAY_STEPS)[number]

/** How far one came towards a relay, and how long each step took. */
export interface RelayCheck {
  readonly url: string
  readonly addresses: readonly string[]
  readonly nameMs: number | null
  readonly tcpMs: number | null
  readonly tlsMs: number | null
  readonly answerMs: number | null
  /** The relay's clock minus ours, as exact as a second. */
  readonly clockOffsetMs: number | null
  /** Whether packets of full size get there; null when that is not known. */
  readonly largePackets: 'passed' | 'lost' | null
  /** Null when every step went well. */
  readonly failedAt: RelayStep | null
  readonly reason: string | null
}

/**
 * Goes to a relay step by step, as an agent does, up to its challenge. It does not log in: with the agent's own key that
 * would push the agent's line off, and with another one the relay need not admit us.
 */
export async function checkRelay(
  relay: RelayAddress,
  { clock, limitMs, signal }: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<RelayCheck> {
  const limit = deadline(clock, limitMs, signal)
  let step: RelayStep = 'name'
  let found: Omit<RelayCheck, 'failedAt' | 'reason'> = {
    url: relay.url.href.replace(/\/$/, ''),
    addresses: [],
    nameMs: null,
    tcpMs: null,
    tlsMs: null,
    answerMs: null,
    clockOffsetMs: null,
    largePackets: null,
  }
  const timed = async <T>(run: () => Promise<T>) => {
    const from = clock.now()
    const value = await run()
    return { value, ms: Math.round((clock.now() - from) * 100) / 100 }
  }
  let socket: Socket | undefined
  try {
    const names = await timed(() => aborting(addressesOf(relay.known.name), limit.signal))
    found = { ...found, addresses: names.value, nameMs: isIP(relay.known.name) ? null : names.ms }
    step = 'tcp'
    const tcp = await timed(() => openRelayTcp(relay, clock, limit.signal))
    socket = tcp.value
    found = { ...found, tcpMs: tcp.ms }
    step = 'tls'
    const plain = tcp.value
    if (isSecure(relay.url)) {
      const tls = await timed(() => startRelayTls(relay, plain, clock, limit.signal))
      socket = tls.value
      found = { ...found, tlsMs: tls.ms }
    }
    step = 'answer'
    const stream = socket
    stream.write(`GET /v1/agent HTTP/1.1\r\nHost: ${relay.url.host}\r\nConnection: close\r\n\r\n`)
    const answer = await timed(() => readHttpAnswer(stream, limit.signal))
    const { dateMs } = answer.value
    found = { ...found, answerMs: answer.ms, clockOffsetMs: dateMs === undefined ? null : dateMs - clock.wallNow() }
    step = 'relay'
    const id = await challengerOf(relay, clock, limit.signal)
    step = 'id'
    if (relay.id !== undefined && id !== relay.id) {
      throw new CulvertError('relay-impersonated', `the relay says it is ${id}, not the id in the config`)
    }
    const largePackets = await largePacketsPass(relay, clock, signal).catch(() => undefined)
    return { ...found, largePackets: largePackets ?? null, failedAt: null, reason: null }
  } catch (thrown) {
    const late = limit.signal.aborted && !signal.aborted
    return { ...found, failedAt: step, reason: late ? `no answer in ${limitMs} ms` : reasonOf(thrown) }
  } finally {
    socket?.destroy()
    limit.done()
  }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host)) return [host]
  return (await lookup(host, { all: true })).slice(0, 8).map(({ address }) => address)
}

/** Opens a line as far as the relay's challenge, and gives the id in it. */
async function challengerOf(relay: RelayAddress, clock: Clock, signal: AbortSignal): Promise<PeerId> {
  const tcp = await openRelayTcp(relay, clock, signal)
  const carrier = isSecure(relay.url) ? await startRelayTls(relay, tcp, clock, signal) : tcp
  const socket = new WebSocket(`ws://${relay.url.host}/v1/agent`, {
    createConnection: () => carrier,
    perMessageDeflate: false,
    maxPayload: MAX_RELAY_MESSAGE_BYTES,
    followRedirects: false,
  })
  try {
    return await new Promise<PeerId>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new CulvertError('aborted', 'aborted')), { once: true })
      socket.binaryType = 'nodebuffer'
      socket.on('error', reject)
      socket.on('close', () => reject(new CulvertError('relay-unreachable', 'it closed the line without a word')))
      socket.on('message', data => {
        try {
          const message = Buffer.isBuffer(data) ? decodeRelayMessage(data) : undefined
          if (message?.type === 'challenge') resolve(message.relay)
          else reject(new CulvertError('wire-malformed', 'it does not speak as a culvert relay'))
        } catch (thrown) {
          reject(thrown)
        }
      })
    })
  } finally {
    socket.terminate()
    carrier.destroy()
  }
}
