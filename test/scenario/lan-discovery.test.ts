import { recognise } from '../../agent/rendezvous/lan/lan-badge.ts'
import { type DnsMessage, decodeDns } from '../../common/wire/dns-message.ts'
import { lanAnnouncementsOf } from '../../common/wire/lan-announcement.ts'
import { peerIdToBytes } from '../../common/wire/peer-id.ts'
import type { LabHost } from '../lab/lab-host.ts'
import { rootTest } from '../lab/root-test.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const NO_RELAY = { relays: [] }

async function run(host: LabHost, command: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await host.exec(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

/** A second interface of one host leads straight to one of another. */
async function cable(one: LabHost, other: LabHost): Promise<void> {
  await run(one, 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth1', 'netns', other.namespace)
  for (const [host, address] of [[one, '10.9.0.1/24'] as const, [other, '10.9.0.2/24'] as const]) {
    await run(host, 'ip', 'addr', 'add', address, 'dev', 'eth1')
    await run(host, 'ip', 'link', 'set', 'eth1', 'up')
  }
}

/** What Wi-Fi does to multicast on a bad day: nothing is sent again. */
function loseMulticast(host: LabHost, percent: number): Promise<void> {
  const lossy = `udp dport 5353 meta pkttype multicast numgen random mod 100 < ${percent} drop`
  const rules = `table inet air { chain in { type filter hook input priority 0; ${lossy}; }; }`
  return run(host, 'nft', rules)
}

/** Over the path that is in use once the peer is connected. */
async function meets(agent: TestAgent, name: string): Promise<string> {
  const { path } = await agent.waitForPeer(name, 'connected', ({ state }) => state === 'connected')
  return `${path?.transport}/${path?.how} ${path?.remote}`
}

interface Said {
  readonly bytes: Buffer
  readonly message: DnsMessage
}

/** What a host said to port 5353 over IPv4, of frames that each stand behind 16 bytes of pcap. */
function saidBy(address: string, capture: Buffer): readonly Said[] {
  const said: Said[] = []
  const source = Buffer.from(address.split('.').map(Number))
  for (let at = 24; at + 16 <= capture.length; ) {
    const length = capture.readUInt32LE(at + 8)
    const frame = capture.subarray(at + 16, at + 16 + length)
    at += 16 + length
    const isUdp4 = frame.length > 42 && frame.readUInt16BE(12) === 0x0800 && frame[23] === 17
    if (!isUdp4 || !frame.subarray(26, 30).equals(source) || frame.readUInt16BE(36) !== 5353) continue
    const bytes = Buffer.from(frame.subarray(42))
    said.push({ bytes, message: decodeDns(bytes) })
  }
  return said
}

rootTest(
  'with no relay, agents meet over each interface that they share, and a third machine learns nothing',
  async t => {
    await using world = await World.start({
      lab: { sites: { home: { kind: 'eim-apdf', hosts: 3 }, away: 'eim-apdf' } },
      relay: false,
      agents: {},
    })
    const host = (name: string) => world.lab.host(name)
    for (const name of ['alice', 'bob', 'carol', 'stranger']) await world.prepare(name)
    await cable(host('home'), host('away'))
    const watcher = await world.lab.capture(host('home.3'))
    const start = (name: string, at: string, peers: readonly string[], keep: boolean) =>
      world.startAgent(name, { host: at, peers, keep, config: NO_RELAY })
    // Bob waits for alice to come; nobody but alice wants carol.
    const bob = await start('bob', 'home.2', ['alice'], true)
    await start('carol', 'away', ['alice'], false)
    const alice = await start('alice', 'home', ['bob', 'carol'], true)
    const from = performance.now()
    const first = await meets(alice, 'bob')
    t.log(`alice met bob ${Math.round(performance.now() - from)} ms after her start: ${first}`)
    t.regex(first, /^tcp\/lan (192\.168\.1\.11|\[fe80:.*%eth0\]):/)
    t.regex(await meets(alice, 'carol'), /^tcp\/lan (10\.9\.0\.2|\[fe80:.*%eth1\]):/)
    const { code, stdout } = await alice.cli('ping', 'bob', '--count', '1')
    t.is(code, 0, stdout)

    alice.process?.child.kill('SIGHUP')
    const twice = new RegExp(`(on the LAN peer=${world.idOf('alice').slice(0, 10)}[^]*){2}`)
    await bob.process?.waitForOutput(twice)
    await alice.stop()
    await bob.waitForPeer('alice', 'gone', ({ state }) => state !== 'connected')
    await start('alice', 'home', ['bob', 'carol'], false)
    await meets(bob, 'alice')

    const { bytes, dropped } = await watcher.stop()
    t.is(dropped, 0)
    const said = saidBy('192.168.1.10', bytes)
    const announced = said.flatMap(({ message }) => lanAnnouncementsOf(message))
    const byInstance = new Map(announced.map(({ announcement }) => [announcement.instance, announcement]))
    t.true(byInstance.size >= 3, `${byInstance.size} instances`)
    const alone = [...byInstance.values()].flatMap(({ instance, host: machine, badge }) => [
      instance,
      machine,
      ...[badge.nonce, badge.sealedId, ...badge.tags].map(part => Buffer.from(part).toString('hex')),
    ])
    t.is(new Set(alone).size, alone.length, 'no name and no part of a badge comes twice')
    t.true(
      announced.some(({ ttlS }) => ttlS === 0),
      'who goes takes back what it said',
    )
    const ids = { pinned: ['alice', 'bob', 'stranger'].map(name => world.idOf(name)) }
    for (const announcement of byInstance.values()) {
      t.is(recognise(announcement, ids), world.idOf('alice'))
      t.is(recognise(announcement, { pinned: [world.idOf('stranger')] }), undefined)
    }
    for (const secret of ['alice', 'home', world.idOf('alice'), peerIdToBytes(world.idOf('alice'))]) {
      t.false(said.some(packet => packet.bytes.includes(Buffer.from(secret))))
    }
  },
)

rootTest(
  'with no relay, agents meet where one multicast in three is lost, after a change of networks, and over IPv6 alone',
  async t => {
    await using world = await World.start({
      lab: { sites: { home: { kind: 'eim-apdf', hosts: 2 }, six: { kind: 'eim-apdf', ipv6: 'only', hosts: 2 } } },
      relay: false,
      agents: {},
    })
    const names = ['alice', 'bob', 'erin', 'frank']
    for (const name of names) await world.prepare(name)
    await Promise.all(['home', 'home.2'].map(name => loseMulticast(world.lab.host(name), 30)))
    const start = (name: string, host: string, peer: string, keep: boolean) =>
      world.startAgent(name, { host, peers: [peer], keep, config: NO_RELAY })
    await Promise.all([start('bob', 'home.2', 'alice', false), start('frank', 'six.2', 'erin', false)])
    const met = async (name: string, host: string, peer: string) => {
      const agent = await start(name, host, peer, true)
      const from = performance.now()
      const path = await meets(agent, peer)
      t.log(`${name} met ${peer} ${Math.round(performance.now() - from)} ms after the start: ${path}`)
      return path
    }
    const [lossy, six] = await Promise.all([met('alice', 'home', 'bob'), met('erin', 'six', 'frank')])
    t.regex(lossy, /^tcp\/lan /)
    const alice = world.agent('alice')
    const bobs = world.lab.host('home.2')
    // Without IPv4 the session moves over to IPv6, and back at another address.
    await run(bobs, 'ip', '-4', 'addr', 'flush', 'dev', 'eth0')
    await alice.waitForPeer('bob', 'over IPv6', ({ path }) => path?.remote?.startsWith('[fe80:') ?? false)
    await run(bobs, 'ip', 'addr', 'add', '192.168.1.77/24', 'dev', 'eth0')
    await run(bobs, 'ip', '-6', 'addr', 'flush', 'dev', 'eth0')
    await alice.waitForPeer('bob', 'elsewhere', ({ path }) => path?.remote?.startsWith('192.168.1.77:') ?? false)
    t.regex(six, /^tcp\/lan \[fe80:.*%eth0\]:/)
  },
)
