import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as connectSocket, type Socket } from 'node:net'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { SYSTEM_CONTROL_SOCKET } from '../config/config-basics.ts'
import { isInstalled } from '../config/installed-service.ts'
import type { InviteReply, InviteWish, JoinReply } from '../join/joining.ts'
import type { BenchWish } from '../service/bench.ts'
import type { DevicesOfAdmin } from '../trust/signing.ts'
import { errorFromBody } from './control-error.ts'
import type { BenchReply, ForwardReply, PingReply, RemoveReply } from './control-target.ts'
import type { DoctorReport } from './doctor/report.ts'
import type { AgentStatus } from './status.ts'

/** A status of thousands of peers; more is no answer of ours. */
const ANSWER_BYTES_LIMIT = 16 * 1024 * 1024

/** A stream to a service, over the control socket. */
export interface ControlStream {
  /** Raw bytes, with half-close either way. */
  readonly socket: Socket
  /** Waits until the stream is done both ways; rejects with the reason when it was cut rather than ended. */
  ended(signal?: AbortSignal): Promise<void>
}

/** A running agent as seen by a command. Every call rejects with `agent-not-running` when nobody answers. */
export interface ControlClient {
  status(signal?: AbortSignal): Promise<AgentStatus>
  /** The status at once and after every change, until the signal aborts or the agent stops. */
  watchStatus(signal?: AbortSignal): AsyncIterable<AgentStatus>
  connect(peer: string, service: string, signal?: AbortSignal): Promise<ControlStream>
  ping(peer: string, signal?: AbortSignal): Promise<PingReply>
  bench(peer: string, wish: BenchWish, signal?: AbortSignal): Promise<BenchReply>
  doctor(peer: string | undefined, signal?: AbortSignal): Promise<DoctorReport>
  /** Removes a member from the network. */
  remove(peer: string, devices: DevicesOfAdmin, signal?: AbortSignal): Promise<RemoveReply>
  /** Makes a join code. */
  invite(wish: InviteWish, signal?: AbortSignal): Promise<InviteReply>
  /** Gets the agent into the network that a code is from. */
  join(code: string, name: string, signal?: AbortSignal): Promise<JoinReply>
  /** The agent reads its config again. */
  reload(signal?: AbortSignal): Promise<void>
  addForward(listen: string, to: string | undefined, signal?: AbortSignal): Promise<ForwardReply>
  /** False when there was no forward at that address. */
  removeForward(listen: string, signal?: AbortSignal): Promise<boolean>
}

export function createControlClient(socketPath: string): ControlClient {
  const ask = async (method: string, path: string, body: unknown, signal: AbortSignal | undefined) => {
    const response = await send(socketPath, method, path, body, signal)
    return readAnswer(response)
  }
  // The agent is part of the same installation: what it answers is taken to have its own types.
  return {
    status: async signal => (await ask('GET', '/v1/status', undefined, signal)) as AgentStatus,
    ping: async (peer, signal) => (await ask('POST', '/v1/ping', { peer }, signal)) as PingReply,
    bench: async (peer, wish, signal) => (await ask('POST', '/v1/bench', { peer, ...wish }, signal)) as BenchReply,
    doctor: async (peer, signal) =>
      (await ask('POST', '/v1/doctor', peer === undefined ? {} : { peer }, signal)) as DoctorReport,
    remove: async (peer, devices, signal) =>
      (await ask('POST', '/v1/remove', { peer, devices }, signal)) as RemoveReply,
    invite: async (wish, signal) => (await ask('POST', '/v1/invites', wish, signal)) as InviteReply,
    join: async (code, name, signal) => (await ask('POST', '/v1/join', { code, name }, signal)) as JoinReply,
    reload: async signal => void (await ask('POST', '/v1/reload', undefined, signal)),
    addForward: async (listen, to, signal) =>
      (await ask('POST', '/v1/forwards', { listen, to }, signal)) as ForwardReply,
    async removeForward(listen, signal) {
      const answer = await ask('DELETE', '/v1/forwards', { listen }, signal)
      return typeof answer === 'object' && answer !== null && 'removed' in answer && answer.removed === true
    },
    async *watchStatus(signal) {
      const response = await send(socketPath, 'GET', '/v1/status/watch', undefined, signal)
      if (response.statusCode !== 200) throw errorFromBody(await readJson(response))
      yield* lines(response, signal)
    },
    connect: (peer, service, signal) => openStream(socketPath, peer, service, signal, ask),
  }
}

type Ask = (method: string, path: string, body: unknown, signal: AbortSignal | undefined) => Promise<unknown>

function openStream(
  socketPath: string,
  peer: string,
  service: string,
  signal: AbortSignal | undefined,
  ask: Ask,
): Promise<ControlStream> {
  return new Promise((resolve, reject) => {
    const path = `/v1/connect/${encodeURIComponent(peer)}/${encodeURIComponent(service)}`
    const request = httpRequest({
      socketPath,
      path,
      headers: { connection: 'Upgrade', upgrade: 'culvert-stream' },
      // The default would end our side as soon as the service ends its own.
      createConnection: () => connectSocket({ path: socketPath, allowHalfOpen: true }),
    })
    abortWith(request, signal)
    request.once('error', thrown => reject(cannotAsk(socketPath, thrown, signal)))
    request.once('response', response => {
      readJson(response).then(body => reject(errorFromBody(body)), reject)
    })
    request.once('upgrade', (response, socket: Socket, head) => {
      const number = String(response.headers['culvert-stream'])
      if (head.length > 0) socket.unshift(head)
      resolve({
        socket,
        async ended(waiting) {
          const end = await ask('GET', `/v1/streams/${number}`, undefined, waiting)
          if (typeof end === 'object' && end !== null && 'error' in end) throw errorFromBody(end)
        },
      })
    })
    request.end()
  })
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
    const headers = { ...length, 'content-type': 'application/json', connection: 'close' }
    const request = httpRequest({ socketPath, method, path, headers, agent: false })
    abortWith(request, signal)
    request.once('error', thrown => reject(cannotAsk(socketPath, thrown, signal)))
    request.once('response', resolve)
    request.end(text)
  })
}

function abortWith(request: ClientRequest, signal: AbortSignal | undefined): void {
  if (!signal) return
  const abort = () => request.destroy(new CulvertError('aborted', 'the command was stopped', { cause: signal.reason }))
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  request.once('close', () => signal.removeEventListener('abort', abort))
  request.once('upgrade', () => signal.removeEventListener('abort', abort))
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const body = await readJson(response)
  if (response.statusCode !== 200) throw errorFromBody(body)
  return body
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  let text = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > ANSWER_BYTES_LIMIT) throw tooLong()
    }
    return JSON.parse(text)
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    throw new CulvertError('internal', `the agent's answer broke off: ${reasonOf(thrown)}`, { cause: thrown })
  }
}

async function* lines(response: IncomingMessage, signal: AbortSignal | undefined): AsyncGenerator<AgentStatus> {
  let rest = ''
  response.setEncoding('utf8')
  try {
    for await (const chunk of response) {
      const parts = (rest + String(chunk)).split('\n')
      rest = parts.pop() ?? ''
      if (rest.length > ANSWER_BYTES_LIMIT) throw tooLong()
      for (const part of parts) yield JSON.parse(part) as AgentStatus
    }
  } catch (thrown) {
    if (signal?.aborted) return
    if (thrown instanceof CulvertError) throw thrown
    throw new CulvertError('agent-not-running', `the agent stopped: ${reasonOf(thrown)}`, { cause: thrown })
  }
}

function tooLong(): CulvertError {
  return new CulvertError('internal', `the agent's answer has more than ${ANSWER_BYTES_LIMIT} bytes`)
}

function cannotAsk(socketPath: string, thrown: unknown, signal: AbortSignal | undefined): CulvertError {
  if (thrown instanceof CulvertError) return thrown
  if (signal?.aborted) return new CulvertError('aborted', 'the command was stopped', { cause: thrown })
  const code = systemCodeOf(thrown)
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `the agent's socket ${socketPath} is not open to this user; run the command as the agent's user or a member of its group, for example with sudo`
    return new CulvertError('not-authorized', message, { cause: thrown })
  }
  const reason = code === 'ENOENT' || code === 'ECONNREFUSED' ? '' : ` (${reasonOf(thrown)})`
  const asService = socketPath === SYSTEM_CONTROL_SOCKET && isInstalled('culvert-agent')
  const start = asService ? '"sudo systemctl enable --now culvert-agent"' : '"culvert agent"'
  const message = `no agent answers on ${socketPath}${reason}; start one with ${start}, or name its socket with --socket PATH`
  return new CulvertError('agent-not-running', message, { cause: thrown })
}
