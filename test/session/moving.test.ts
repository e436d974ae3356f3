import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { PREFERRED_MS } from '../../agent/path/bulk-choice.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { BulkWatch } from '../../agent/session/bulk-watch.ts'
import type { PathLink } from '../../agent/session/path-link.ts'
import { PathMemory } from '../../agent/session/path-memory.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionEvents } from '../../agent/session/session-events.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const MIB = 1024 * 1024
const keys = [generateKeyPair(), generateKeyPair()] as const
const sides = keys.map(key => ({ id: key.id, sealer: createSealer(key, systemClock) }))
const closed = new CulvertError('session-closed', 'the test is over')

interface Joined {
  readonly near: PathLink
  readonly far: PathLink
  readonly sockets: readonly [Socket, Socket]
}

/** Two sessions, and what makes another path between them; both are over loopback TCP, whatever they say. */
async function startPair(t: ExecutionContext, { onPaths, ...events }: Partial<SessionEvents> = {}) {
  let doubted = false
  const loopback = await openLoopback()
  const sessionOf = (own: 0 | 1, more: Partial<SessionEvents>) =>
    new Session({
      ownId: keys[own].id,
      peerId: keys[own === 0 ? 1 : 0].id,
      clock: systemClock,
      random: systemRandom,
      budget: new WindowBudget(64 * MIB),
      events: { ...QUIET, ...more },
    })
  const hash = createHash('sha256')
  let received = 0
  const done = Promise.withResolvers<void>()
  const near = sessionOf(0, {
    ...events,
    onPaths: lost => {
      doubted ||= near.links.some(link => link.suspect)
      onPaths?.(lost)
    },
  })
  const far = sessionOf(1, {
    onStream: stream => {
      stream.accept()
      stream.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        received += chunk.length
      })
      stream.once('end', () => {
        stream.end()
        done.resolve()
      })
    },
  })
  t.teardown(() => {
    near.close(closed)
    far.close(closed)
    loopback.close()
  })
  const join = async (transport: 'tcp' | 'udx'): Promise<Joined> => {
    const sockets = await loopback.connect()
    const [client, server] = sides
    if (!client || !server) throw new Error('no sides')
    const paths = await sealPair(sockets, client, server)
    const facts = { kind: transport === 'udx' ? 'udp' : 'tcp', transport } as const
    const [nearLink, farLink] = [
      near.attach({ ...paths[0], ...facts }, true),
      far.attach({ ...paths[1], ...facts }, false),
    ]
    if (!nearLink || !farLink) throw new Error('a path was not taken')
    while (!nearLink.ready || !farLink.ready) await near.ping().then(() => new Promise(setImmediate))
    return { near: nearLink, far: farLink, sockets }
  }
  return {
    near,
    far,
    join,
    done: done.promise,
    received: () => received,
    hash: () => hash.digest('hex'),
    /** This machine was so slow that a path seemed to be silent: what was under way went again. */
    doubted: () => doubted,
  }
}

/** Writes so much; gives its SHA-256. */
async function send(session: Session, bytes: number, each: (sent: number) => void = () => undefined): Promise<string> {
  const stream = session.openStream('sink')
  const hash = createHash('sha256')
  for (let sent = 0; sent < bytes; ) {
    const block = randomBytes(256 * 1024)
    hash.update(block)
    sent += block.length
    if (!stream.write(block)) await once(stream, 'drain')
    each(sent)
  }
  stream.end()
  return hash.digest('hex')
}

test('a path that was measured to be faster is gone over to without sending a byte twice, and back', async t => {
  const pair = await startPair(t)
  const [tcp, udx] = [await pair.join('tcp'), await pair.join('udx')]
  t.is(pair.near.active, tcp.near)
  const used = new Set<PathLink | undefined>()
  const sent = await send(pair.near, 48 * MIB, count => {
    used.add(pair.near.active)
    if (count === 16 * MIB) pair.near.prefer(udx.near)
    if (count === 32 * MIB) pair.near.prefer(undefined)
  })
  await pair.done
  t.is(pair.hash(), sent)
  t.is(pair.near.active, tcp.near)
  if (pair.doubted()) return
  t.is(tcp.near.bytesOut + udx.near.bytesOut, 48 * MIB)
  t.true(used.has(udx.near) && udx.near.bytesOut >= MIB)
})

test('acknowledgements come over the path that the bytes took, so that it shows by answers that it works', async t => {
  const pair = await startPair(t)
  const [tcp, udx] = [await pair.join('tcp'), await pair.join('udx')]
  pair.near.prefer(udx.near)
  const acks = new Map<PathLink, number>()
  for (const { far } of [tcp, udx]) {
    const write = far.writeAck.bind(far)
    far.writeAck = received => {
      // A path that becomes the best one is told what has come; that can be late, before any byte.
      if (received > 0) acks.set(far, (acks.get(far) ?? 0) + 1)
      write(received)
    }
  }
  await send(pair.near, 8 * MIB)
  await pair.done
  t.is(pair.far.active, tcp.far)
  if (pair.doubted()) return
  t.is(acks.get(tcp.far), undefined)
  t.true((acks.get(udx.far) ?? 0) >= 2)
})

for (const [what, cut] of [
  ['the one that is gone over to', 'udx'],
  ['the one that is left', 'tcp'],
] as const) {
  test(`nothing is lost or doubled when, in the middle of going over, ${what} breaks`, async t => {
    const pair = await startPair(t)
    const [tcp, udx] = [await pair.join('tcp'), await pair.join('udx')]
    const sent = await send(pair.near, 32 * MIB, count => {
      if (count !== 8 * MIB) return
      pair.near.prefer(udx.near)
      for (const socket of (cut === 'udx' ? udx : tcp).sockets) socket.resetAndDestroy()
    })
    await pair.done
    t.is(pair.received(), 32 * MIB)
    t.is(pair.hash(), sent)
    t.is(pair.near.active, cut === 'udx' ? tcp.near : udx.near)
  })
}

test('a preference ends with its path: another one of its kind is not used for it', async t => {
  const gone = Promise.withResolvers<void>()
  const pair = await startPair(t, { onPaths: lost => lost && gone.resolve() })
  const [tcp, udx] = [await pair.join('tcp'), await pair.join('udx')]
  pair.near.prefer(udx.near)
  t.is(pair.near.active, udx.near)
  udx.near.fail(closed)
  await gone.promise
  await pair.join('udx')
  t.is(pair.near.preferred, undefined)
  t.is(pair.near.active, tcp.near)
})

/** A second of the watch is an eighth of one. */
const hasty: Clock = {
  ...systemClock,
  now: () => systemClock.now() * 8,
  after: (ms, run) => systemClock.after(ms === PREFERRED_MS ? 0 : ms / 8, run),
}

/** A watch over one side, which remembers that UDX was faster; a stream that goes on until it is told to end. */
async function startWatched(t: ExecutionContext) {
  const changed = new Set<() => void>()
  let watch: BulkWatch | undefined
  const events: Partial<SessionEvents> = {
    onBacklog: () => watch?.onBacklog(),
    onPaths: () => {
      for (const look of changed) look()
    },
  }
  const pair = await startPair(t, events)
  const [tcp, udx] = [await pair.join('tcp'), await pair.join('udx')]
  let network: string | undefined = 'home'
  const memory = new PathMemory(
    () => network,
    [],
    () => undefined,
  )
  memory.learn(keys[1].id, { bulk: 'udx' })
  watch = new BulkWatch({
    peerId: keys[1].id,
    session: pair.near,
    clock: hasty,
    memory,
    wantUdx: () => t.fail('a path over UDX is there'),
  })
  t.teardown(() => watch?.close())
  let going = true
  const sending = (async () => {
    const stream = pair.near.openStream('sink')
    const block = randomBytes(256 * 1024)
    while (going) if (!stream.write(block)) await once(stream, 'drain')
    stream.end()
  })()
  const activeIs = (link: PathLink) =>
    new Promise<void>(resolve => {
      const look = () => {
        if (pair.near.active !== link) return
        changed.delete(look)
        resolve()
      }
      changed.add(look)
      look()
    })
  return {
    ...pair,
    tcp,
    udx,
    activeIs,
    watch,
    move: (to: string) => {
      network = to
      watch?.forget()
    },
    end: async () => {
      going = false
      await sending
    },
  }
}

test('in another network nothing is preferred any more', async t => {
  const { activeIs, tcp, udx, near, move, end } = await startWatched(t)
  await activeIs(udx.near)
  t.is(near.preferred, udx.near)
  move('elsewhere')
  t.is(near.preferred, undefined)
  await activeIs(tcp.near)
  await end()
})

test('some time after the long stream has ended TCP is in use again', async t => {
  const { activeIs, tcp, udx, near, end } = await startWatched(t)
  await activeIs(udx.near)
  await end()
  await activeIs(tcp.near)
  t.is(near.preferred, undefined)
})
