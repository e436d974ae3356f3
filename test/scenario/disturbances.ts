import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { LabSite } from '../lab/lab-site.ts'
import { NAMESPACE_FILES } from '../lab/traces.ts'
import type { PathKind } from './lane.ts'
import type { World } from './world.ts'

/** Where a lane is disturbed. */
export interface Place {
  readonly world: World
  /** The agent on this side, whose site has its name. */
  readonly name: string
}

/** Something that befalls one side of a lane. */
export interface Disturbance {
  readonly name: string
  /** The paths that it is tried on; all where it is not said. */
  readonly on?: readonly PathKind[]
  /** Bytes flow again so soon; default 3 s. */
  readonly budgetMs?: number
  /** Ends when the network would carry bytes again. */
  strike(place: Place): Promise<void>
  /** Makes the network what it was, where `strike` leaves it otherwise; after the bytes flow again. */
  mend?(place: Place): Promise<void>
}

const siteOf = ({ world, name }: Place): LabSite => world.lab.site(name)

/** Names in /etc/hosts of a host, in place of DNS, which the lab has not. */
export function writeHosts({ world, name }: Place, lines: readonly string[]): Promise<void> {
  const text = ['127.0.0.1 localhost', ...lines].map(line => `${line}\n`).join('')
  return writeFile(join(NAMESPACE_FILES, world.lab.host(name).namespace, 'hosts'), text)
}

function cut(seconds: number): Disturbance {
  return {
    name: `line cut for ${seconds} s`,
    async strike(place) {
      await siteOf(place).cut()
      await wait(seconds * 1000)
      await siteOf(place).restore()
    },
  }
}

/** A TCP connection finds out only after three retransmissions, and each new one anew (RFC 4821). */
const PROBING_MS = 12_000

function blackHole(mtu: number): Disturbance {
  return {
    name: `MTU ${mtu}, ICMP dropped`,
    budgetMs: PROBING_MS,
    strike: place => siteOf(place).setMtu(mtu, { blackHole: true }),
    mend: place => siteOf(place).setMtu(1500),
  }
}

function move(to: string, what: string): Disturbance {
  return {
    name: what,
    strike: ({ world, name }) => world.lab.move(name, `${name}-${to}`),
    mend: ({ world, name }) => world.lab.move(name, name),
  }
}

/** What can befall a home that has a public address at its router. */
export const AT_HOME: readonly Disturbance[] = [
  cut(2),
  cut(5),
  { name: 'new outside address', strike: place => siteOf(place).newAddress() },
  {
    name: 'UDP blocked',
    on: ['udp'],
    strike: place => siteOf(place).blockUdp(),
    mend: place => siteOf(place).unblockUdp(),
  },
  {
    name: 'TCP blocked, but for the web',
    on: ['tcp'],
    strike: place => siteOf(place).blockTcp(),
    mend: place => siteOf(place).unblockTcp(),
  },
  blackHole(1280),
  {
    name: 'DNS gone, then a new outside address',
    async strike(place) {
      await writeHosts(place, [])
      await siteOf(place).newAddress()
    },
  },
]

export const AT_THE_ROUTER: readonly Disturbance[] = [
  cut(15),
  { name: 'NAT rebind', strike: place => siteOf(place).rebind() },
  { name: 'router reboot', strike: place => siteOf(place).reboot({ downMs: 2_000 }) },
  {
    name: 'table of flows full for 5 s, known ones gone',
    async strike(place) {
      await siteOf(place).fillTable()
      await siteOf(place).forget()
      await wait(5_000)
      await siteOf(place).freeTable()
    },
  },
]

/** What can befall a home behind a carrier, and a device that leaves it. */
export const FURTHER_OUT: readonly Disturbance[] = [
  {
    name: 'carrier takes another address, no local event',
    strike: ({ world, name }) => world.lab.site(`${name}-isp`).newAddress(),
  },
  move('cell', 'Wi-Fi to cellular'),
  move('v6', 'IPv4 line to IPv6-only line'),
]
