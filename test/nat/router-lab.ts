import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { guarded } from '../guard.ts'
import { labRefusal } from '../lab/lab-rights.ts'

/** Why these tests cannot run here, if they cannot. */
export function labMissing(): string | undefined {
  const refusal = labRefusal()
  if (refusal !== undefined) return refusal
  for (const tool of ['/usr/sbin/miniupnpd', '/usr/sbin/nft']) if (!existsSync(tool)) return `needs ${tool}`
  return undefined
}

export interface RouterOptions {
  readonly outside: string
  /** UPnP of this version; absent = the router does not speak it. */
  readonly igd?: 1 | 2
  readonly natPmp?: boolean
  readonly pcp?: boolean
  /** Longest lease that it grants, in seconds. */
  readonly maxLeaseS?: number
}

/** Tables as miniupnpd for nftables wants them. */
const NFT = `table inet lab {
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  chain miniupnpd {}
  chain pre { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain post { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
  chain forward { type filter hook forward priority 0; jump miniupnpd; }
  chain input { type filter hook input priority 0; }
}`

let labs = 0

/** One router with miniupnpd and two hosts behind it, in namespaces of their own. */
export class RouterLab implements AsyncDisposable {
  readonly #name = `cvnat${process.pid}x${labs++}`
  readonly #folder = mkdtempSync(join(tmpdir(), 'culvert-router-'))
  readonly #options: RouterOptions
  readonly #children = new Set<ChildProcess>()
  #daemon: ChildProcess | undefined

  constructor(options: RouterOptions) {
    this.#options = options
    try {
      this.#build(options.outside)
    } catch (cause) {
      this.#removeNamespaces()
      throw cause
    }
  }

  #build(outside: string): void {
    const router = this.#namespace('r')
    for (const name of ['r', 'a', 'b']) {
      ip('netns', 'add', this.#namespace(name))
      ip('-n', this.#namespace(name), 'link', 'set', 'lo', 'up')
    }
    ip('-n', router, 'link', 'add', 'lan', 'type', 'bridge')
    ip('-n', router, 'addr', 'add', '192.168.77.1/24', 'dev', 'lan')
    ip('-n', router, 'link', 'set', 'lan', 'up')
    // Nothing is behind the outside line; it only has to be up.
    ip('-n', router, 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'provider')
    ip('-n', router, 'link', 'set', 'provider', 'up')
    ip('-n', router, 'addr', 'add', `${outside}/24`, 'dev', 'wan')
    ip('-n', router, 'link', 'set', 'wan', 'up')
    for (const [i, host] of ['a', 'b'].entries()) {
      const inside = this.#namespace(host)
      ip('-n', router, 'link', 'add', `to-${host}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', inside)
      ip('-n', router, 'link', 'set', `to-${host}`, 'master', 'lan', 'up')
      ip('-n', inside, 'addr', 'add', `192.168.77.${10 + i}/24`, 'dev', 'eth0')
      ip('-n', inside, 'link', 'set', 'eth0', 'up')
      ip('-n', inside, 'route', 'add', 'default', 'via', '192.168.77.1')
    }
    this.#nft(NFT)
    const { natPmp = false, pcp = false } = this.#options
    // miniupnpd has one switch for both; the first byte is the version.
    if (natPmp !== pcp) this.#nft(`add rule inet lab input udp dport 5351 @th,64,8 ${natPmp ? '!=' : '=='} 0 drop`)
  }

  /** Resolves when miniupnpd listens. */
  async startDaemon(): Promise<void> {
    const config = join(this.#folder, 'miniupnpd.conf')
    const { igd, natPmp, pcp, maxLeaseS = 86_400 } = this.#options
    const yes = (on: unknown) => (on ? 'yes' : 'no')
    writeFileSync(
      config,
      `ext_ifname=wan
listening_ip=lan
ipv6_disable=yes
enable_upnp=${yes(igd !== undefined)}
enable_natpmp=${yes(natPmp || pcp)}
min_lifetime=2
max_lifetime=${maxLeaseS}
secure_mode=yes
notify_interval=5
upnp_table_name=lab
upnp_nat_table_name=lab
uuid=f47760d8-df03-42b3-92e5-1529f2a90001
force_igd_desc_v1=${yes(igd === 1)}
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`,
    )
    const command = ['miniupnpd', '-d', '-f', config, '-P', join(this.#folder, 'pid')]
    const daemon = this.#spawn('r', command)
    this.#daemon = daemon
    await new Promise<void>((resolve, reject) => {
      daemon.once('exit', code => reject(new Error(`miniupnpd ended with ${code}`)))
      const lines = createInterface({ input: daemon.stderr ?? process.stdin })
      lines.on('line', line => {
        if (igd === undefined ? /Listening for NAT-PMP/.test(line) : /HTTP listening on port/.test(line)) resolve()
      })
    })
  }

  /** So that a second start can fall into the same second: miniupnpd's boot id is the second of its start. */
  async startDaemonEarlyInASecond(): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, 1000 - (Date.now() % 1000)))
    await this.startDaemon()
  }

  /** As a power cut: no farewell, and the router's table is empty afterwards. */
  async killDaemon(): Promise<void> {
    const daemon = this.#daemon
    if (!daemon) return
    const ended = new Promise(resolve => daemon.once('exit', resolve))
    daemon.kill('SIGKILL')
    await ended
    this.forget()
  }

  /** `tcp 40001 -> 192.168.77.10:40001`, one line per mapping that the router really has. */
  mappings(): readonly string[] {
    const chain = execFileSync(
      'ip',
      ['netns', 'exec', this.#namespace('r'), 'nft', 'list', 'chain', 'inet', 'lab', 'prerouting_miniupnpd'],
      { encoding: 'utf8' },
    )
    // nft prints the protocol as miniupnpd writes it: byte 9 of the network header, 6 or 17.
    const found = [...chain.matchAll(/@nh,72,8 (0x6|0x11) .*dport (\d+) dnat ip to ([\d.]+:\d+)/g)]
    return found.map(([, number, port, to]) => `${number === '0x6' ? 'tcp' : 'udp'} ${port} -> ${to}`).toSorted()
  }

  /** Waits until these are the mappings: a router may be slow, and takes a rule that it renews out for a moment. */
  holds(wanted: readonly string[]): Promise<void> {
    return this.until(mappings => mappings.join() === wanted.join())
  }

  /** Waits for such mappings. */
  async until(wanted: (mappings: readonly string[]) => boolean): Promise<void> {
    const wait = async () => {
      while (!wanted(this.mappings())) await new Promise(resolve => setTimeout(resolve, 50))
    }
    await guarded(wait(), () => this.mappings().join('\n'))
  }

  /** Empties the router's table behind its back, as some do by themselves. */
  forget(): void {
    for (const chain of ['prerouting_miniupnpd', 'postrouting_miniupnpd', 'miniupnpd']) {
      this.#nft(`flush chain inet lab ${chain}`)
    }
  }

  addAddress(host: 'a' | 'b', address: string): void {
    ip('-n', this.#namespace(host), 'addr', 'add', address, 'dev', 'eth0')
  }

  removeAddress(host: 'a' | 'b', address: string): void {
    ip('-n', this.#namespace(host), 'addr', 'del', address, 'dev', 'eth0')
  }

  addDefaultRoute(host: 'a' | 'b'): void {
    ip('-n', this.#namespace(host), 'route', 'replace', 'default', 'via', '192.168.77.1')
  }

  /** Starts a program on a host. */
  run(host: 'a' | 'b', command: readonly string[]): ChildProcess {
    return this.#spawn(host, command)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#children].map(child => {
      if (child.exitCode !== null || child.signalCode !== null) return undefined
      const end = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      return end
    })
    await Promise.all(ended)
    this.#removeNamespaces()
  }

  #removeNamespaces(): void {
    for (const name of ['a', 'b', 'r']) {
      if (existsSync(`/run/netns/${this.#namespace(name)}`)) ip('netns', 'del', this.#namespace(name))
    }
    rmSync(this.#folder, { recursive: true })
  }

  #namespace(name: string): string {
    return `${this.#name}${name}`
  }

  #nft(script: string): void {
    execFileSync('ip', ['netns', 'exec', this.#namespace('r'), 'nft', '-f', '-'], { input: script })
  }

  #spawn(name: string, command: readonly string[]): ChildProcess {
    // `ip netns exec` becomes the program itself, so a signal reaches it.
    const child = spawn('ip', ['netns', 'exec', this.#namespace(name), ...command], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
