import { type AddressInfo, connect, createServer } from 'node:net'
import test from 'ava'
import { guestOf, lanKeyOf } from '../../agent/join/guest-key.ts'
import { GUESSES_PER_PERIOD } from '../../agent/path/guess-gate.ts'
import { makeKnock } from '../../agent/path/knock.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { InviteCode } from '../../common/wire/invite-code.ts'
import { peerIdToBytes } from '../../common/wire/peer-id.ts'
import { RelayInTheMiddle } from '../scenario/relay-in-the-middle.ts'
import { startLoopbackRelay } from '../session/loopback-peers.ts'
import { joinAs, NOW, startInviter } from './inviter.ts'

const over = (code: InviteCode, port: number): InviteCode => ({
  ...code,
  relays: [],
  endpoints: [{ address: '127.0.0.1', port }],
})

test('a device joins over a relay, and one over an address in the code without any', async t => {
  await using relay = await startLoopbackRelay()
  const inviter = await startInviter(t, relay.http.port)
  const [one, other] = [generateKeyPair(), generateKeyPair()]
  await inviter.online
  const joined = await joinAs(one, await inviter.invite({ name: 'attic' }))
  t.is(joined.network, inviter.network.id)
  t.deepEqual(joined.secret, inviter.network.secret)
  t.like(joined.statements[0], { entry: { peer: one.id }, details: { name: 'attic' } })

  await joinAs(other, over(await inviter.invite({ roles: ['family'] }), inviter.port))
  t.like(inviter.network.member(one.id), { name: 'attic', admin: false })
  t.like(inviter.network.member(other.id), { name: 'pi', roles: ['family'] })
})

test('a relay that watches the whole join sees that a guest calls, and nothing that lets anybody in', async t => {
  await using relay = await startLoopbackRelay()
  await using middle = await RelayInTheMiddle.start(relay.http.port)
  const inviter = await startInviter(t, relay.http.port)
  const device = generateKeyPair()
  const code = await inviter.invite({ name: 'grandmothers-pi' })
  await inviter.online
  await joinAs(device, code, { env: { HTTPS_PROXY: middle.proxy.href } })

  const [line] = middle.lines
  const pipes = middle.pipes.flatMap(({ recorded }) => [...recorded.toPeer, ...recorded.toAgent])
  const said = unmasked(Buffer.concat(line?.recorded.toPeer ?? []))
  const seen = Buffer.concat([said, ...(line?.recorded.toAgent ?? []), ...pipes])
  const guest = guestOf(code.secret)
  t.true(pipes.length >= 2)
  t.not(said.indexOf(peerIdToBytes(guest.id)), -1)
  for (const [what, bytes] of [
    ['the secret of the code', code.secret],
    ['the key that it makes', guest.seed],
    ['what the inviter is found by', lanKeyOf(code.secret)],
    ["the network's secret", inviter.network.secret],
    ['the network', peerIdToBytes(inviter.network.id)],
    ['who joins', peerIdToBytes(device.id)],
    ['its name', Buffer.from('grandmothers-pi')],
  ] as const) {
    t.is(seen.indexOf(bytes), -1, what)
  }
  const guessed = { ...code, secret: peerIdToBytes(guest.id).subarray(0, 16) }
  const refused = { code: 'not-authorized', message: /does not know this join code/ } as const
  await t.throwsAsync(joinAs(generateKeyPair(), guessed), refused)
})

/** What a client said over a WebSocket, without the masks of its frames (RFC 6455 §5.2). */
function unmasked(bytes: Buffer): Buffer {
  const said: Buffer[] = []
  for (let at = 0; at + 6 <= bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const head = short === 126 ? 4 : 2
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short
    const mask = bytes.subarray(at + head, at + head + 4)
    const masked = bytes.subarray(at + head + 4, at + head + 4 + length)
    said.push(Buffer.from(masked.map((byte, i) => byte ^ (mask[i % 4] ?? 0))))
    at += head + 4 + length
  }
  return Buffer.concat(said)
}

test('each code that lets nobody in says why', async t => {
  const inviter = await startInviter(t)
  const device = generateKeyPair()
  const refused = (code: InviteCode, message: RegExp, as = device) =>
    t.throwsAsync(joinAs(as, over(code, inviter.port)), { code: 'invite-refused', message })

  const used = await inviter.invite()
  await joinAs(device, over(used, inviter.port))
  await refused(used, /another device has used this join code already/, generateKeyPair())
  // The device itself may have missed the answer.
  await joinAs(device, over(used, inviter.port))

  const code = await inviter.invite()
  await t.throwsAsync(joinAs(device, over({ ...code, secret: systemRandom.bytes(16) }, inviter.port)), {
    code: 'not-authorized',
    message: /does not know this join code/,
  })
  await refused({ ...code, network: generateKeyPair().id }, /could not prove its identity/)
  await refused({ ...code, expiresAt: 1_700_000_000 }, /has expired on 2023-11-14 22:13 UTC \(it is 2027-/)
  inviter.skew.s = 86_400
  await refused(code, /this join code has expired on 2027-01-16 08:00 UTC/)
  inviter.skew.s = 0
  inviter.network.remove(device.id)
  await refused(code, /this device was removed/)
  await refused(used, /this device was removed from the network after this join code was made; ask for a new one/)
  t.deepEqual([...inviter.network.members()], [])
})

test('a device that was removed is taken back by a code that the network key made after that, and by no other', async t => {
  const inviter = await startInviter(t)
  const device = generateKeyPair()
  await joinAs(device, over(await inviter.invite(), inviter.port))
  const old = await inviter.invite()
  inviter.network.remove(device.id)
  inviter.skew.s = 1
  const fresh = await inviter.invite()
  await t.throwsAsync(joinAs(device, over(old, inviter.port)), { code: 'invite-refused', message: /was removed/ })
  const { statements } = await joinAs(device, over(fresh, inviter.port))
  t.like(statements[0]?.entry, { peer: device.id, removed: false, version: 3, signer: inviter.network.id })
  t.true(inviter.network.isMember(device.id))
  inviter.network.remove(device.id)
  await t.throwsAsync(joinAs(device, over(fresh, inviter.port)), { code: 'invite-refused', message: /was removed/ })
  t.false(inviter.network.isMember(device.id))
})

test('an inviter whose clock is not set takes nobody in, and refuses no code for good', async t => {
  const inviter = await startInviter(t)
  const code = over(await inviter.invite(), inviter.port)
  inviter.skew.s = -1_800_000_000
  await t.throwsAsync(joinAs(generateKeyPair(), code), { code: 'busy', message: /cannot take anybody in just now/ })
  inviter.skew.s = 0
  await t.notThrowsAsync(joinAs(generateKeyPair(), code))
})

test('who cuts the connection, and a relay that says no in the name of the inviter, end neither the code nor the other ways', async t => {
  await using relay = await startLoopbackRelay()
  const inviter = await startInviter(t)
  const code = await inviter.invite()
  const cutter = createServer(client => {
    const inside = connect(inviter.port, '127.0.0.1')
    for (const socket of [client, inside]) socket.on('error', () => undefined)
    inside.pipe(client)
    // The last flight of the handshake, and the request behind it, never come through.
    let flights = 0
    client.on('data', flight => {
      if (flights++ < 1) inside.write(flight)
      else client.end()
    })
    client.once('close', () => inside.destroy())
  })
  await new Promise<void>(resolve => cutter.listen(0, '127.0.0.1', resolve))
  t.teardown(() => cutter.close())
  const { port } = cutter.address() as AddressInfo
  await t.throwsAsync(joinAs(generateKeyPair(), over(code, port)), { code: 'not-authorized' })

  const liar = Promise.withResolvers<void>()
  const refused = Promise.withResolvers<void>()
  const rendezvous = new Rendezvous({
    relays: [relayAddress(new URL(`http://127.0.0.1:${relay.http.port}`), undefined, undefined)],
    identity: inviter.key,
    clock: systemClock,
    random: systemRandom,
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    software: 'test',
    instance: systemRandom.bytes(8),
    addresses: () => [],
    isTrusted: () => true,
    onCall: call => {
      call.refuse('refused')
      refused.resolve()
    },
    onPresence: () => undefined,
    onLost: () => undefined,
    onChange: () => rendezvous.connected && liar.resolve(),
  })
  t.teardown(() => rendezvous.close())
  await liar.promise
  const lied = { ...code, relays: [{ url: `http://127.0.0.1:${relay.http.port}` }], endpoints: [] }
  await t.throwsAsync(joinAs(generateKeyPair(), lied), { code: 'not-authorized', message: /does not know/ })
  const seek = (found: (endpoint: Endpoint) => void) => {
    // A moment after the lie was heard.
    void refused.promise.then(() => setTimeout(() => found({ address: '127.0.0.1', port: inviter.port }), 50))
  }
  await t.notThrowsAsync(joinAs(generateKeyPair(), lied, { seek }))
})

test('a guest for whom there is no place just now hears that, and that it is for now', async t => {
  const inviter = await startInviter(t)
  const codes = await Promise.all(Array.from({ length: 9 }, () => inviter.invite()))
  const last = codes.pop()
  if (!last) throw new Error('nine were made')
  for (const code of codes) {
    const socket = connect(inviter.port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(makeKnock(inviter.key.id, systemRandom))
    const stop = new AbortController().signal
    const role = { role: 'client', expected: inviter.key.id, accept: () => true, signal: stop } as const
    await createSealer(guestOf(code.secret), systemClock).seal(socket, role)
  }
  await t.throwsAsync(joinAs(generateKeyPair(), over(last, inviter.port)), {
    code: 'busy',
    message: /is taking in others just now/,
  })
})

test('one device that comes over three ways at once is told of once', async t => {
  const inviter = await startInviter(t)
  const code = over(await inviter.invite(), inviter.port)
  const device = generateKeyPair()
  await Promise.all([joinAs(device, code), joinAs(device, code), joinAs(device, code)])
  t.is(inviter.lines.filter(line => line.includes('a device joined the network')).length, 1)
})

test('an inviter who is away is told as such, with what was tried', async t => {
  await using relay = await startLoopbackRelay()
  const inviter = await startInviter(t)
  const code = await inviter.invite()
  const relays = [{ url: `http://127.0.0.1:${relay.http.port}` }]
  await t.throwsAsync(joinAs(generateKeyPair(), { ...code, relays }, { limitMs: 60_000 }), {
    code: 'peer-offline',
    message: /was not reached: .*is its agent running\? Try again: the join code is good until 2027-01-16 08:00 UTC/,
  })
  await t.throwsAsync(joinAs(generateKeyPair(), { ...code, endpoints: [{ address: '127.0.0.1', port: 9 }] }), {
    code: 'peer-unreachable',
    message: /nothing takes connections there/,
  })
})

test('two devices with one code at the same time: one is in, and the other is told', async t => {
  const inviter = await startInviter(t)
  const code = over(await inviter.invite(), inviter.port)
  const devices = Array.from({ length: 4 }, () => generateKeyPair())
  const outcomes = await Promise.allSettled(devices.map(device => joinAs(device, code)))
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  t.is([...inviter.network.members()].length, 1)
  for (const outcome of outcomes) {
    if (outcome.status !== 'rejected') continue
    t.is(outcome.reason.code, 'invite-refused')
    t.regex(outcome.reason.message, /used/)
  }
})

test('a thousand guesses get no further than twenty, and the code is good all the same over a relay', async t => {
  await using relay = await startLoopbackRelay()
  const inviter = await startInviter(t, relay.http.port)
  const code = await inviter.invite()
  let answered = 0
  for (let guess = 0; guess < 1_000; guess++) if (await guessAt(inviter.port, code)) answered++
  t.is(answered, GUESSES_PER_PERIOD)
  await inviter.online
  await t.notThrowsAsync(joinAs(generateKeyPair(), code))
})

const GUESSER = createSealer(guestOf(Buffer.alloc(16, 1)), systemClock)

/** One guess by somebody who has all of a code but its secret; true when the inviter went as far as a handshake. */
async function guessAt(port: number, { inviter }: InviteCode): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(makeKnock(inviter, systemRandom))
  const role = { role: 'client', expected: inviter, accept: () => true, signal: new AbortController().signal } as const
  try {
    const { stream } = await GUESSER.seal(socket, role)
    await new Promise<void>(resolve => stream.resume().once('close', resolve))
    return true
  } catch {
    return false
  }
}

test('a guest who asks for nothing that is known is cut off', async t => {
  const inviter = await startInviter(t)
  const code = await inviter.invite()
  const sealer = createSealer(guestOf(code.secret), systemClock)
  const role = {
    role: 'client',
    expected: inviter.key.id,
    accept: () => true,
    signal: new AbortController().signal,
  } as const
  for (const bytes of [Buffer.from('ffffffff', 'hex'), Buffer.from('00000000', 'hex'), Buffer.alloc(200, 1)]) {
    const socket = connect(inviter.port, '127.0.0.1')
    socket.write(makeKnock(inviter.key.id, systemRandom))
    const { stream } = await sealer.seal(socket, role)
    stream.write(bytes)
    t.is((await stream.toArray()).length, 0)
  }
  t.is([...inviter.network.members()].length, 0)
})

test('who chooses its name itself gets none that another has, had, or that a service is open to', async t => {
  const inviter = await startInviter(t)
  const { network, port } = inviter
  const [cellar, phone] = [generateKeyPair(), generateKeyPair()]
  network.admit({ peer: cellar.id, name: 'cellar', roles: [], notAfter: 0 })
  network.admit({ peer: phone.id, name: 'phone', roles: [], notAfter: 0 })
  network.remove(phone.id)
  const join = async (name: string, wish: { readonly name?: string } = {}) => {
    const device = generateKeyPair()
    await joinAs(device, over(await inviter.invite(wish), port), { name })
    return { id: device.id, called: network.member(device.id)?.name }
  }
  for (const name of ['founder', 'cellar', 'phone', 'in-allow']) {
    const { id, called } = await join(name)
    t.is(called, `${name}-${id.slice(0, 4)}`)
  }
  t.is((await join('garden')).called, 'garden')
  t.is((await join('attic', { name: 'phone' })).called, 'phone', 'who invites may give any name')
})

test('a membership that has ended does not begin anew by the code that began it', async t => {
  const inviter = await startInviter(t)
  const device = generateKeyPair()
  const code = over(await inviter.invite(), inviter.port)
  await joinAs(device, code)
  inviter.network.admit({ peer: device.id, name: 'pi', roles: [], notAfter: NOW - 1 })
  await t.throwsAsync(joinAs(device, code), { code: 'invite-refused', message: /expired/ })
  t.false(inviter.network.isMember(device.id))
})
