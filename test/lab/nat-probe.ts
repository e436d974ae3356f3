/**
 * What the NAT in front of this host does, by RFC 5780 over UDP and by three connections from one port over TCP:
 *
 *   node nat-probe.ts SERVER PORT OTHERPORT [LOCALPORT [TIMEOUTMS]]     prints a NatReport as one line of JSON
 *
 * With a local port of your own wait between two runs until the NAT has forgotten, or its filter looks open.
 */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Address, StunMessage } from './stun-message.ts'
import { askOverTcp, StunSocket, type TcpAnswer } from './stun-query.ts'

type Dependence = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

export interface MappingReport {
  readonly local: Address
  readonly mapped: Address
  /** `none`: the outside address is the host's own. */
  readonly mapping: Dependence | 'none'
  readonly portPreserved: boolean
}

export interface NatReport {
  /** Null: no answer over UDP. */
  readonly udp: (MappingReport & { readonly filtering: Dependence; readonly hairpin: boolean }) | null
  /** Null: no answer over TCP. */
  readonly tcp: MappingReport | null
}

/** The lab's lines are quick, but the machine may be busy; a probe over a delayed line gives its own. */
const TIMEOUT_MS = 500

/** RFC 5780 §4.3: what three answers to one local port, from three destinations, say. */
export function classifyMapping(
  local: Address,
  mapped: readonly [Address, Address, Address],
): MappingReport['mapping'] {
  const [first, otherHost, otherBoth] = mapped
  if (same(first, local)) return 'none'
  if (same(first, otherHost)) return 'endpoint-independent'
  return same(otherHost, otherBoth) ? 'address-dependent' : 'address-and-port-dependent'
}

async function probeUdp(server: Address, localPort: number, timeoutMs: number): Promise<NatReport['udp']> {
  using socket = await StunSocket.open(server.host, localPort)
  const first = await socket.ask(server, { timeoutMs })
  if (!first?.mapped || !first.other) return null
  const { mapped, other } = first
  // Filtering first, while this socket has talked to one address only.
  const filtering = await probeFiltering(socket, server, timeoutMs)
  const otherHost = await socket.ask({ host: other.host, port: server.port }, { timeoutMs })
  const otherBoth = await socket.ask(other, { timeoutMs })
  if (!otherHost?.mapped || !otherBoth?.mapped) return null
  const local = { host: await localAddress(server), port: socket.port }
  const mapping = classifyMapping(local, [mapped, otherHost.mapped, otherBoth.mapped])
  const hairpin = await probeHairpin(socket, server, mapped, timeoutMs)
  return { local, mapped, mapping, portPreserved: mapped.port === local.port, filtering, hairpin }
}

async function probeFiltering(socket: StunSocket, server: Address, timeoutMs: number): Promise<Dependence> {
  const ask = (change: StunMessage['change']) => socket.ask(server, { timeoutMs, tries: 2 }, change)
  if (await ask({ address: true, port: true })) return 'endpoint-independent'
  return (await ask({ address: false, port: true })) ? 'address-dependent' : 'address-and-port-dependent'
}

/** Two sockets of this host send to each other's outside address (RFC 5780 §4.5). */
async function probeHairpin(one: StunSocket, server: Address, mapped: Address, timeoutMs: number): Promise<boolean> {
  using two = await StunSocket.open(server.host, 0)
  const answer = await two.ask(server, { timeoutMs })
  if (!answer?.mapped) return false
  const heard = Promise.withResolvers<boolean>()
  one.socket.on('message', bytes => {
    if (bytes.toString() === 'hairpin') heard.resolve(true)
  })
  one.socket.send('hairpin', answer.mapped.port, answer.mapped.host)
  two.socket.send('hairpin', mapped.port, mapped.host)
  const timer = setTimeout(() => heard.resolve(false), timeoutMs)
  const result = await heard.promise
  clearTimeout(timer)
  return result
}

async function probeTcp(
  server: Address,
  other: Address,
  wish: number,
  timeoutMs: number,
): Promise<MappingReport | null> {
  const localPort = wish === 0 ? await freeTcpPort() : wish
  const answers: TcpAnswer[] = []
  // One after the other: connections from one port in the same instant would tell less about its order of ports.
  for (const to of [server, { host: other.host, port: server.port }, other]) {
    const answer = await askOverTcp(localPort, to, 4 * timeoutMs)
    if (answer) answers.push(answer)
  }
  for (const { socket } of answers) socket.destroy()
  const [first, second, third] = answers
  if (!first || !second || !third) return null
  const { local, mapped } = first
  const mapping = classifyMapping(local, [mapped, second.mapped, third.mapped])
  return { local, mapped, mapping, portPreserved: mapped.port === local.port }
}

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

async function localAddress(server: Address): Promise<string> {
  using probe = await StunSocket.open(server.host, 0)
  const connected = once(probe.socket, 'connect')
  probe.socket.connect(server.port, server.host)
  await connected
  return probe.socket.address().address
}

function same(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port
}

if (import.meta.main) {
  const [name = 'relay.test', ...numbers] = process.argv.slice(2)
  const [port = 3478, otherPort = port + 1, localPort = 0, timeoutMs = TIMEOUT_MS] = numbers.map(Number)
  const { address: host } = await lookup(name)
  const server = { host, port }
  // Where UDP is blocked nobody tells us the other address: on the lab's relay host it is one up.
  const last = /[0-9a-f]+$/.exec(host)?.[0] ?? ''
  const next = host.includes(':') ? (Number.parseInt(last, 16) + 1).toString(16) : `${Number(last) + 1}`
  const other = { host: host.slice(0, -last.length) + next, port: otherPort }
  const [udp, tcp] = await Promise.all([
    probeUdp(server, localPort, timeoutMs),
    probeTcp(server, other, localPort, timeoutMs),
  ])
  process.stdout.write(`${JSON.stringify({ udp, tcp } satisfies NatReport)}\n`)
}
