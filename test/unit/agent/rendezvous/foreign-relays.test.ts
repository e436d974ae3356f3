import test from 'ava'
import { ForeignRelays, type KeptLine, type PeerHomes } from '../../../../agent/rendezvous/foreign-relays.ts'
import type { RelayAddress } from '../../../../agent/rendezvous/relay-dial.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { ALICE, BOB, RELAY } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const never = new AbortController().signal

class Line implements KeptLine {
  state: KeptLine['state'] = 'connecting'
  lastError: string | null = null
  readonly stun = [{ address: '203.0.113.5', port: 3478 }]
  closed = false
  readonly relay: RelayAddress
  readonly #onChange: () => void

  constructor(relay: RelayAddress, onChange: () => void) {
    this.relay = relay
    this.#onChange = onChange
  }

  connect(): void {
    this.state = 'connected'
    this.#onChange()
  }

  fail(): void {
    this.lastError = 'nobody there'
    this.#onChange()
  }

  close(): void {
    this.closed = true
  }
}

function bench(names: Readonly<Record<string, readonly string[]>> = {}, environment: Record<string, string> = {}) {
  const clock = new FakeClock()
  const lines: Line[] = []
  /** Resolves with the next line that is opened. */
  let opened = Promise.withResolvers<Line>()
  const relays = new ForeignRelays<Line>({
    clock,
    environment,
    isOurs: ({ url }) => url === 'https://ours.example.org',
    open: (relay, onChange) => {
      const line = new Line(relay, onChange)
      lines.push(line)
      opened.resolve(line)
      return line
    },
    resolve: async host => names[host] ?? [],
  })
  const next = () => {
    opened = Promise.withResolvers<Line>()
    return opened.promise
  }
  return { clock, lines, relays, next }
}

const home = (url: string, address?: string) => ({ url, id: RELAY.id, address })
const homes = (...relays: readonly ReturnType<typeof home>[]): PeerHomes => ({ relays, near: false })
const THEIRS = homes(home('http://203.0.113.5:8080'))
const refused = async () => {
  throw new CulvertError('peer-offline', 'not there')
}

test('a peer is called through its own relay, over a line that later calls use, too, and that ends by itself', async t => {
  const { relays, lines, next, clock } = bench()
  const opened = next()
  const called = relays.callAt(BOB.id, THEIRS, async line => line, never)
  const line = await opened
  t.is(line.relay.known.name, '203.0.113.5')
  t.is(line.relay.id, RELAY.id)
  line.connect()
  t.is(await called, line)
  clock.advance(100_000)
  t.is(await relays.callAt(ALICE.id, THEIRS, async again => again, never), line)
  t.is(lines.length, 1)
  t.deepEqual(relays.stunServers(), line.stun)
  clock.advance(119_000)
  t.false(line.closed)
  clock.advance(2_000)
  t.true(line.closed)
  t.deepEqual(relays.stunServers(), [])
  t.is(clock.timers, 0)
})

test('our own relays are not called twice, and those that are away are left alone for a minute', async t => {
  const { relays, lines, next, clock } = bench()
  t.is(await relays.callAt(BOB.id, homes(home('https://ours.example.org')), async line => line, never), undefined)
  const opened = next()
  const called = relays.callAt(BOB.id, THEIRS, async line => line, never)
  const line = await opened
  line.fail()
  await t.throwsAsync(called, { instanceOf: CulvertError, code: 'relay-unreachable', message: 'nobody there' })
  t.true(line.closed)
  t.is(await relays.callAt(ALICE.id, THEIRS, async again => again, never), undefined)
  t.is(lines.length, 1)
  clock.advance(60_000)
  const anew = next()
  void relays.callAt(ALICE.id, THEIRS, async again => again, never)
  t.not(await anew, line)
})

test('a peer that is not at its relay is sought there more and more rarely', async t => {
  const { relays, lines, next, clock } = bench()
  let tried = 0
  for (let second = 0; second < 6 * 3600; second += 5) {
    const opened = next()
    const called = relays.callAt(BOB.id, THEIRS, refused, never).catch(() => {
      tried++
    })
    void opened.then(line => line.connect())
    for (const line of lines.slice(-1)) line.connect()
    await called
    clock.advance(5_000)
  }
  t.true(tried >= 36 && tried <= 44, `${tried} in six hours`)
})

test('a relay in a private network is dialled only for a peer that is there, whatever DNS says', async t => {
  const names = { 'evil.example.org': ['192.168.1.1', '127.0.0.1'], 'mixed.example.org': ['10.0.0.1', '203.0.113.7'] }
  const { relays, lines, next } = bench(names)
  const bad = homes(
    home('http://192.168.1.1'),
    home('http://127.0.0.1:9100'),
    home('http://[::1]:9100'),
    home('http://evil.example.org'),
    home('http://nowhere.example.org', '169.254.169.254'),
    home('http://nowhere.example.org'),
  )
  t.is(await relays.callAt(BOB.id, bad, async line => line, never), undefined)
  t.is(lines.length, 0)
  const mixed = next()
  void relays.callAt(BOB.id, homes(home('http://mixed.example.org')), async line => line, never)
  t.is((await mixed).relay.known.name, '203.0.113.7')
  const near = next()
  void relays.callAt(BOB.id, { ...bad, near: true }, async line => line, never)
  t.is((await near).relay.known.name, '192.168.1.1')
})

test('where DNS knows nothing, the address that the record remembers is dialled', async t => {
  const { relays, next } = bench()
  const opened = next()
  void relays.callAt(BOB.id, homes(home('https://relay.example.org', '203.0.113.9')), async line => line, never)
  const { relay } = await opened
  t.is(relay.known.name, '203.0.113.9')
  t.is(relay.url.hostname, 'relay.example.org')
})

test('a relay that nothing proves, and one behind a proxy, is not dialled', async t => {
  const plain = homes({ ...home('http://203.0.113.5'), id: undefined as never })
  t.is(await bench().relays.callAt(BOB.id, plain, async line => line, never), undefined)
  const proxied = bench({}, { HTTPS_PROXY: 'http://proxy.example.org:3128' })
  t.is(await proxied.relays.callAt(BOB.id, THEIRS, async line => line, never), undefined)
  t.is(proxied.lines.length, 0)
})

test('no more than two at a time: one that is in use stays, one that is not makes room', async t => {
  const { relays, lines } = bench()
  const use = (host: number, hold: Promise<unknown>) => {
    const called = relays.callAt(BOB.id, homes(home(`http://203.0.113.${host}`)), () => hold, never)
    return called.catch((thrown: unknown) => thrown)
  }
  const connect = async () => {
    await new Promise(setImmediate)
    for (const line of lines) if (!line.closed && line.state !== 'connected') line.connect()
  }
  const held = Promise.withResolvers<void>()
  const [first, second] = [use(1, held.promise), use(2, Promise.resolve())]
  await connect()
  await second
  const third = use(3, held.promise)
  await connect()
  t.deepEqual(
    lines.map(({ closed }) => closed),
    [false, true, false],
  )
  const fourth = await use(4, Promise.resolve())
  t.true(fourth instanceof CulvertError && fourth.code === 'busy')
  held.resolve()
  await Promise.all([first, third])
  relays.close()
  t.true(lines.every(({ closed }) => closed))
})

test('who does not wait any more is let go, also while a line comes up', async t => {
  const { relays, next } = bench()
  const stop = new AbortController()
  const opened = next()
  const called = relays.callAt(BOB.id, THEIRS, async line => line, stop.signal)
  await opened
  stop.abort()
  await t.throwsAsync(called, { instanceOf: CulvertError, code: 'aborted' })
})
