import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test from 'ava'
import { KNOCK_BYTES, KNOCK_WAIT_MS, makeKnock } from '../../agent/path/knock.ts'
import type { Path } from '../../agent/path/path.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { listenForPaths, MAX_UNPROVEN } from '../../agent/path/tcp-listener.ts'
import { dialTcpPath } from '../../agent/path/tcp-path.ts'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { quietPort } from '../quiet-port.ts'
import { FakeClock } from '../unit/fake-clock.ts'

const [alice, bob, mallory] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]

/** Bob's door, which Alice may come through. */
async function openDoor(clock: Clock = systemClock) {
  const lines: string[] = []
  const paths: Path[] = []
  const arrived: Array<(path: Path) => void> = []
  const listener = await listenForPaths({
    port: 0,
    ownId: bob.id,
    sealer: createSealer(bob, clock),
    clock,
    log: createLog({ level: 'debug', style: 'words', write: line => lines.push(line) }),
    isTrusted: peer => peer === alice.id,
    onPath(path) {
      paths.push(path)
      arrived.shift()?.(path)
    },
  })
  return {
    lines,
    paths,
    port: listener.port,
    close: () => listener.close(),
    nextPath: () => new Promise<Path>(resolve => arrived.push(resolve)),
  }
}

async function knockAt(port: number, from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from, allowHalfOpen: true })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Bytes that came back until the other side closed. */
function untilClosed(socket: Socket): Promise<number> {
  socket.resume()
  return new Promise(resolve => {
    for (const ending of ['end', 'close']) {
      socket.once(ending, () => {
        socket.destroy()
        resolve(socket.bytesRead)
      })
    }
  })
}

const context = (key: typeof alice) => ({
  sealer: createSealer(key, systemClock),
  clock: systemClock,
  random: systemRandom,
  signal: new AbortController().signal,
})
const at = (port: number) => ({ kind: 'tcp', how: 'public', endpoint: { address: '127.0.0.1', port } }) as const

test('a peer that knocks and proves itself has a path', async t => {
  const door = await openDoor()
  const arrived = door.nextPath()
  const dialled = await dialTcpPath(bob.id, at(door.port), context(alice))
  const path = await arrived
  t.is(path.peer, alice.id)
  t.is(path.how, 'lan')
  t.is(dialled.how, 'public')
  t.deepEqual(path.remote, dialled.local)
  dialled.stream.write('hello')
  t.is(String((await once(path.stream, 'data'))[0]), 'hello')
  dialled.stream.destroy()
  path.stream.destroy()
  await door.close()
})

test('the knock and the handshake may come in any pieces', async t => {
  const door = await openDoor()
  const arrived = door.nextPath()
  const socket = await knockAt(door.port)
  socket.setNoDelay(true)
  for (const byte of makeKnock(bob.id, systemRandom)) {
    socket.write(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  const sealed = await context(alice).sealer.seal(socket, {
    role: 'client',
    expected: bob.id,
    accept: () => true,
    signal: new AbortController().signal,
  })
  const path = await arrived
  t.is(path.peer, alice.id)
  sealed.stream.destroy()
  path.stream.destroy()
  await door.close()
})

const tlsHello = Buffer.from('16030100050100000100', 'hex')
for (const [who, bytes] of [
  ['a web browser', Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: ${'x'.repeat(40)}\r\n\r\n`)],
  ['a TLS scanner', Buffer.concat([tlsHello, Buffer.alloc(300)])],
  ['an SSH client', Buffer.from('SSH-2.0-scanner_with_a_rather_long_name\r\n')],
  ['a knock for somebody else', Buffer.from(makeKnock(mallory.id, systemRandom))],
  ['a knock for somebody else, with more behind it', Buffer.concat([makeKnock(mallory.id, systemRandom), tlsHello])],
  ['zeros', Buffer.alloc(KNOCK_BYTES)],
  ['half a knock and the end', Buffer.from(makeKnock(bob.id, systemRandom)).subarray(0, 16)],
  ['nothing but the end', Buffer.alloc(0)],
] as const) {
  test(`${who} gets not one byte, and no line in the log`, async t => {
    const door = await openDoor()
    const socket = await knockAt(door.port)
    const back = untilClosed(socket)
    socket.end(bytes)
    t.is(await back, 0)
    t.deepEqual(door.lines, [])
    t.deepEqual(door.paths, [])
    await door.close()
  })
}

test('whoever says nothing is closed after five seconds without a byte', async t => {
  const clock = new FakeClock()
  const door = await openDoor(clock)
  const silent = await knockAt(door.port)
  const slow = await knockAt(door.port)
  slow.write(Buffer.alloc(KNOCK_BYTES - 1))
  const back = Promise.all([untilClosed(silent), untilClosed(slow)])
  await until(() => clock.timers === 2)
  clock.advance(KNOCK_WAIT_MS)
  t.deepEqual(await back, [0, 0])
  await door.close()
})

test('a stranger who knows our id is refused after the handshake, with one line for all its tries', async t => {
  const door = await openDoor()
  for (let i = 0; i < 3; i++) {
    // TLS 1.3 lets a caller believe for a moment that it is in; then it is closed without a word.
    try {
      const { stream } = await dialTcpPath(bob.id, at(door.port), context(mallory))
      const bytes: Buffer[] = []
      stream.on('data', (chunk: Buffer) => bytes.push(chunk))
      await new Promise<void>(resolve => {
        for (const ending of ['end', 'close']) stream.once(ending, () => resolve())
      })
      t.deepEqual(bytes, [])
      stream.destroy()
    } catch (thrown) {
      t.true(thrown instanceof CulvertError)
    }
  }
  await until(() => door.lines.length > 0)
  t.is(door.lines.length, 1)
  t.regex(door.lines[0] ?? '', new RegExp(`${mallory.id} is not in peers`))
  t.deepEqual(door.paths, [])
  await door.close()
})

test('one address holds 16 places at most, and a place is free again when its holder leaves', async t => {
  const clock = new FakeClock()
  const door = await openDoor(clock)
  const holders: Socket[] = []
  for (let i = 0; i < 16; i++) holders.push(await knockAt(door.port))
  await until(() => clock.timers === 16)
  t.is(await untilClosed(await knockAt(door.port)), 0)
  holders.pop()?.destroy()
  await until(() => clock.timers === 15)
  const again = await knockAt(door.port)
  await until(() => clock.timers === 16)
  for (const socket of [...holders, again]) socket.destroy()
  await until(() => clock.timers === 0)
  await door.close()
})

const linuxTest = process.platform === 'linux' ? test : test.skip

linuxTest(
  'all addresses together hold 64 places; who has stood there longest gives way, so a peer gets in',
  async t => {
    const clock = new FakeClock()
    const door = await openDoor(clock)
    const holders: Socket[] = []
    for (let i = 0; i < MAX_UNPROVEN; i++) holders.push(await knockAt(door.port, `127.0.0.${2 + Math.floor(i / 13)}`))
    await until(() => clock.timers === MAX_UNPROVEN)
    const [oldest] = holders
    const evicted = oldest ? untilClosed(oldest) : Promise.resolve(-1)
    const arrived = door.nextPath()
    const dialled = await dialTcpPath(bob.id, at(door.port), context(alice))
    const path = await arrived
    t.is(path.peer, alice.id)
    t.is(await evicted, 0, 'the oldest is closed without a byte')
    for (const socket of holders) socket.destroy()
    dialled.stream.destroy()
    path.stream.destroy()
    await door.close()
  },
)

test('closing the door closes those who stand in it, and no path', async t => {
  const door = await openDoor()
  const arrived = door.nextPath()
  const dialled = await dialTcpPath(bob.id, at(door.port), context(alice))
  const path = await arrived
  const waiting = untilClosed(await knockAt(door.port))
  // The one who waits must have been accepted, else closing is not what ends it.
  await new Promise(resolve => setImmediate(resolve))
  const closed = door.close()
  t.is(await waiting, 0)
  dialled.stream.write('still here')
  t.is(String((await once(path.stream, 'data'))[0]), 'still here')
  dialled.stream.destroy()
  path.stream.destroy()
  await closed
})

test('a door of somebody else does not open to our knock, and a closed port says that it is closed', async t => {
  const door = await openDoor()
  await t.throwsAsync(dialTcpPath(mallory.id, at(door.port), context(alice)), {
    instanceOf: CulvertError,
    code: 'peer-unreachable',
  })
  await door.close()
  await t.throwsAsync(dialTcpPath(bob.id, at(await quietPort()), context(alice)), {
    instanceOf: CulvertError,
    code: 'peer-unreachable',
    message: /ECONNREFUSED/,
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}
