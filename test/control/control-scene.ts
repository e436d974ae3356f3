import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import type { ExecutionContext } from 'ava'
import { createControlClient } from '../../agent/control/control-client.ts'
import { startControlServer } from '../../agent/control/control-server.ts'
import type { ControlTarget } from '../../agent/control/control-target.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import { decodeInvite } from '../../common/wire/invite-code.ts'
import { SAMPLE_REPORT } from '../unit/agent/control/sample-report.ts'
import { SAMPLE_STATUS } from '../unit/agent/control/sample-status.ts'
import { INVITE, INVITE_TEXT } from '../vectors/invites.ts'
import { ALICE } from '../vectors/keys.ts'

const LAN = { kind: 'tcp', transport: 'tcp', how: 'lan', local: '10.0.0.1:1', remote: '10.0.0.2:2', via: null } as const
const RELAYED = {
  kind: 'relay',
  transport: 'pipe',
  how: 'relay',
  local: null,
  remote: '192.0.2.1:443',
  via: null,
} as const
const PUNCHED = {
  kind: 'tcp',
  transport: 'tcp',
  how: 'punched',
  local: null,
  remote: '198.51.100.7:9',
  via: null,
} as const

/** What the driver's services do: `echo` gives back, `hold` hands its far end to the test, `never` does not answer. */
export interface Driver extends ControlTarget {
  change(): void
  /** The far end of the first stream to `hold`. */
  readonly held: Promise<Duplex>
  readonly aborted: Promise<void>
}

export function createDriver(): Driver {
  const listeners = new Set<() => void>()
  const forwards = new Map<string, string>()
  const held = Promise.withResolvers<Duplex>()
  const abortion = Promise.withResolvers<void>()
  let changes = 0
  let pings = 0
  return {
    held: held.promise,
    aborted: abortion.promise,
    change() {
      changes++
      for (const listener of listeners) listener()
    },
    status: () => ({ ...SAMPLE_STATUS, uptimeS: changes }),
    freshStatus: () => Promise.resolve({ ...SAMPLE_STATUS, uptimeS: changes }),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    remove(peer, devices) {
      const tv = [{ id: 'c'.repeat(52), name: 'tv' }]
      const fates = devices === 'go' ? { stay: [], gone: tv } : { stay: tv, gone: [] }
      if (peer === 'laptop') return Promise.resolve({ id: 'b'.repeat(52), name: 'laptop', ...fates })
      return Promise.reject(new CulvertError('not-authorized', 'this device is no admin of the network'))
    },
    invite: ({ name, roles }) =>
      Promise.resolve({
        code: INVITE_TEXT,
        network: INVITE.network,
        name: name ?? null,
        roles,
        expiresAt: '2026-11-27T12:00:00.000Z',
      }),
    join: (code, name) => Promise.resolve({ network: decodeInvite(code).network, id: ALICE.id, name, already: false }),
    reload: () => Promise.reject(new CulvertError('bad-config', 'agent.json: name: 7 is no name')),
    connect(peer, service, signal) {
      if (peer !== 'laptop') return Promise.reject(new CulvertError('peer-unknown', `no peer is called ${peer}`))
      if (service === 'secret') return Promise.reject(new CulvertError('not-authorized', 'laptop does not let us'))
      if (service === 'bug') return Promise.reject(new TypeError('x is not a function'))
      if (service === 'never') {
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            abortion.resolve()
            reject(new CulvertError('aborted', 'stopped'))
          })
        })
      }
      const [near, remote] = duplexPair({ allowHalfOpen: true })
      remote.on('error', () => undefined)
      remote.once('close', () => {
        const isWhole = remote.readableEnded && remote.writableFinished
        if (!isWhole) near.destroy(new CulvertError('stream-reset', 'laptop cut the stream'))
      })
      if (service === 'echo') remote.pipe(remote)
      else held.resolve(remote)
      return Promise.resolve(near)
    },
    ping(peer) {
      pings++
      if (peer === 'mute') return new Promise(() => undefined)
      if (peer === 'laptop') return Promise.resolve({ rttMs: 3, path: LAN })
      if (peer !== 'roamer') return Promise.reject(new CulvertError('peer-offline', `${peer} is at no relay`))
      if (pings === 2) return Promise.reject(new CulvertError('peer-unreachable', `the path to ${peer} was lost`))
      return Promise.resolve(pings === 1 ? { rttMs: 40, path: RELAYED } : { rttMs: 20, path: PUNCHED })
    },
    doctor: peer =>
      peer === undefined || peer === 'laptop'
        ? Promise.resolve(SAMPLE_REPORT)
        : Promise.reject(new CulvertError('peer-unknown', `no peer is called ${peer}`)),
    bench(peer, { direction }) {
      if (peer !== 'roamer') return Promise.reject(new CulvertError('peer-offline', `${peer} is at no relay`))
      const load = direction === 'send' ? { min: 3, avg: 9, p50: 9, max: 20 } : null
      return Promise.resolve({
        direction,
        bytes: 1_562_500,
        ms: 1000,
        bitsPerS: 12_500_000,
        rttMs: { idle: { min: 1, avg: 3, p50: 3, max: 5 }, load },
        path: RELAYED,
        pathAtEnd: direction === 'send' ? null : PUNCHED,
        limitedByRelay: true,
      })
    },
    addForward(listen, to) {
      if (forwards.has(listen)) return Promise.reject(new CulvertError('port-in-use', `${listen} is taken`))
      forwards.set(listen, to ?? '*')
      return Promise.resolve({ listen, to: to ?? '*' })
    },
    removeForward: listen => Promise.resolve(forwards.delete(listen)),
  }
}

export async function createScene(t: ExecutionContext) {
  const home = await mkdtemp(join(tmpdir(), 'culvert-control-'))
  const socketPath = join(home, 'run', 'agent.sock')
  const driver = createDriver()
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const server = await startControlServer({ socketPath, target: driver, clock: systemClock, log })
  t.teardown(async () => {
    await server.close()
    await rm(home, { recursive: true })
  })
  return { home, socketPath, driver, server, lines, log, client: createControlClient(socketPath) }
}

/** Everything that a raw request gets back until the connection closes. */
export function rawRequest(socketPath: string, text: string | Uint8Array): Promise<string> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    socket.on('data', chunk => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(answer))
    socket.write(text)
  })
}
