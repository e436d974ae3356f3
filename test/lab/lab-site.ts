import { isIPv4 } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { hostAddress4, hostAddress6, otherAddress, type SitePlan } from './address-plan.ts'
import { endFault, FAULT_TABLE, silenceTooBig, speakTooBig, startFault } from './fault-rules.ts'
import { LabError } from './lab-error.ts'
import { type HostAddresses, type HostSurroundings, LabHost, SiteHost } from './lab-host.ts'
import type { EachWay } from './lab-options.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'
import { eachWay, type LinkQuality } from './link-quality.ts'
import { type Configuration, configure, FORWARDING, ipBatch, mergeConfigurations } from './namespace.ts'
import { FORGET_LEARNT, type NatState, natMapping, natTable } from './nat-rules.ts'
import { OutsideLine } from './outside-line.ts'
import { mapsPorts, startPortMapper } from './port-mapper.ts'
import {
  distantRoutes,
  hostInterface,
  isRouted,
  type LineState,
  lineDevice,
  providerLine,
  routerLan,
  routerLine,
} from './wiring.ts'

/** What a site shares with its lab. */
export interface SiteSurroundings {
  readonly processes: ProcessTable
  readonly tempDir: string
  /** The namespace of a host, router (`NAME.router`), or `internet`. */
  readonly namespaceOf: (name: string) => string
  /** The carrier the site is a customer of. */
  readonly carrier: LabSite | null
  /** The sites behind this carrier. */
  readonly customers: () => readonly SitePlan[]
}

/** A site of the running lab, or a carrier: its router, its hosts, and all that can befall them. */
export class LabSite {
  readonly plan: SitePlan
  readonly name: string
  readonly router: LabHost
  /** Empty for a carrier. */
  readonly hosts: readonly SiteHost[]
  readonly line: OutsideLine
  readonly #surroundings: SiteSurroundings
  readonly #provider: string
  #outside4: string | null
  #mtu: number
  #epoch = 0
  #guests = 0
  #quiet = false
  #portMapper: LabProcess | null = null

  constructor(plan: SitePlan, surroundings: SiteSurroundings) {
    const { processes, namespaceOf } = surroundings
    this.plan = plan
    this.name = plan.name
    this.#surroundings = surroundings
    this.#provider = namespaceOf(plan.via === null ? 'internet' : `${plan.via.name}.router`)
    this.#outside4 = plan.outside4
    this.#mtu = plan.nat.mtu ?? 1500
    this.router = new LabHost(`${plan.name}.router`, namespaceOf(`${plan.name}.router`), processes)
    this.line = new OutsideLine(plan, { router: this.router.namespace, provider: this.#provider }, processes)
    this.hosts = Array.from({ length: plan.hosts }, (_, i) => {
      const name = i === 0 ? plan.name : `${plan.name}.${i + 1}`
      return new SiteHost(name, namespaceOf(name), processes, () => ({
        addresses: this.#addressesOf(i + 1),
        wiring: hostInterface(plan, i + 1, this.#outside4),
      }))
    })
  }

  /** The router's outside address now; null without IPv4. */
  get outside4(): string | null {
    return this.#outside4
  }

  /** The address the internet sees: the outermost carrier's, where there is one. */
  get public4(): string | null {
    return this.#surroundings.carrier?.public4 ?? this.#outside4
  }

  /** All packets of the site vanish, both ways; its own interfaces stay up. */
  cut(): Promise<void> {
    return this.#fault(startFault('cut', 'wan'))
  }

  restore(): Promise<void> {
    return this.#fault(endFault('cut', 'wan'))
  }

  blockUdp(): Promise<void> {
    return this.#fault(startFault('no_udp', 'wan'))
  }

  unblockUdp(): Promise<void> {
    return this.#fault(endFault('no_udp', 'wan'))
  }

  /** All TCP but that of the web's ports, 80 and 443. */
  blockTcp(): Promise<void> {
    return this.#fault(startFault('no_tcp', 'wan'))
  }

  unblockTcp(): Promise<void> {
    return this.#fault(endFault('no_tcp', 'wan'))
  }

  /** IPv4 is gone from the outside line; IPv6, where there is any, stays. */
  loseIpv4(): Promise<void> {
    return this.#fault(startFault('no_v4', 'wan'))
  }

  regainIpv4(): Promise<void> {
    return this.#fault(endFault('no_v4', 'wan'))
  }

  /** The router's table of flows is full: known flows live on, new ones get no place. */
  fillTable(): Promise<void> {
    return this.#fault(startFault('full', 'wan'))
  }

  freeTable(): Promise<void> {
    return this.#fault(endFault('full', 'wan'))
  }

  /** Makes room on the LAN for a host of another site: gives what wires it up there. */
  async admit(host: LabHost): Promise<() => HostSurroundings> {
    if (this.plan.isCarrier || isRouted(this.plan)) {
      throw new LabError('bad-option', `site "${this.name}" has no LAN that a host could join`)
    }
    this.#guests += 1
    const n = this.plan.hosts + this.#guests
    const device = `host-${n}`
    await ipBatch(this.#processes, [
      `link add ${device} netns ${this.router.namespace} type veth peer name eth0 netns ${host.namespace}`,
    ])
    await configure(this.#processes, this.router.namespace, { interfaces: [`link set ${device} master lan up`] })
    return () => ({ addresses: this.#addressesOf(n), wiring: hostInterface(this.plan, n, this.#outside4) })
  }

  /**
   * The provider gives the router another outside address (by default one that is 100 away, and back the next time),
   * and every mapping is forgotten but the port mappings, which follow.
   */
  async newAddress(address?: string): Promise<void> {
    const old = this.#outside4
    if (old === null) throw new LabError('bad-option', `site "${this.name}" has no IPv4 address to change`)
    const next = address ?? otherAddress(old)
    if (!isIPv4(next)) throw new LabError('bad-option', `"${next}" is not an IPv4 address for site "${this.name}"`)
    if (next === old) return
    this.#outside4 = next
    const routed = isRouted(this.plan)
    await configure(this.#processes, this.#provider, {
      interfaces: [`route del ${old}/32 dev ${lineDevice(this.plan)}`, ...providerLine(this.plan, this.#lineState)],
    })
    await configure(this.#processes, this.router.namespace, {
      rules: natMapping(this.plan, this.#natState),
      interfaces: [
        ...routerLine(this.plan, this.#lineState),
        ...(routed ? [`route del ${old} dev lan`] : [`addr del ${old}/32 dev wan`]),
        ...routerLan(this.plan, next),
      ],
    })
    if (routed) {
      await configure(this.#processes, this.hosts[0]?.namespace ?? '', {
        interfaces: [...hostInterface(this.plan, 1, next), `addr del ${old}/32 dev eth0`],
      })
    }
    if (this.#quiet) await this.#setQuiet(true)
    await this.forget()
  }

  /** The router is away, then back with the same address and without any state, port mappings included. */
  async reboot({ downMs = 1_000 }: { readonly downMs?: number } = {}): Promise<void> {
    const { namespace } = this.router
    await this.#stopPortMapper()
    const lan = this.plan.isCarrier ? [] : ['link set lan down']
    await configure(this.#processes, namespace, { interfaces: ['link set wan down', ...lan] })
    await wait(downMs)
    await this.forget()
    await configure(this.#processes, namespace, this.#routerConfiguration())
    await this.#restoreProvider()
    await this.startPortMapper()
  }

  /** The router forgets every mapping and gives new ones another outside port; port mappings stay. */
  async rebind(): Promise<void> {
    this.#epoch += 1
    await configure(this.#processes, this.router.namespace, { rules: natMapping(this.plan, this.#natState) })
    await this.forget()
  }

  /** The router forgets every mapping but the port mappings, as when its tables overflowed. */
  async forget(): Promise<void> {
    await configure(this.#processes, this.router.namespace, {
      rules: FORGET_LEARNT,
      shell: ['conntrack -F >/dev/null 2>&1 || true'],
    })
  }

  /** One way, from the next frame on. */
  setDelay(delayMs: number, jitterMs = 0): Promise<void> {
    return this.#setQuality({ ...this.line.quality, delayMs, jitterMs })
  }

  setLoss(lossPct: EachWay): Promise<void> {
    return this.#setQuality({ ...this.line.quality, lossPct: eachWay(lossPct) })
  }

  /** Null: as fast as the machine. */
  setRate(rateMbit: EachWay | null): Promise<void> {
    return this.#setQuality({ ...this.line.quality, rateMbit: rateMbit === null ? null : eachWay(rateMbit) })
  }

  /** Of the outside line, 576 to 1500 bytes; `blackHole`: nobody is told that a packet was too big for it. */
  async setMtu(mtu: number, { blackHole = false }: { readonly blackHole?: boolean } = {}): Promise<void> {
    if (!(mtu >= 576 && mtu <= 1500)) throw new LabError('bad-option', `mtu ${mtu} is not within 576 to 1500`)
    this.#mtu = mtu
    await this.#setQuiet(blackHole)
    await configure(this.#processes, this.router.namespace, { interfaces: routerLine(this.plan, this.#lineState) })
    await configure(this.#processes, this.#provider, { interfaces: providerLine(this.plan, this.#lineState) })
  }

  /** How many flows the router holds in its table. */
  async conntrackCount(): Promise<number> {
    const { stdout } = await this.router.exec('cat', ['/proc/sys/net/netfilter/nf_conntrack_count'])
    return Number(stdout)
  }

  /** What sets the router up when the lab starts. */
  routerSetup(): Configuration {
    const { udpTimeoutS } = this.plan.nat
    return mergeConfigurations([
      {
        plain: true,
        settings: {
          ...FORWARDING,
          'net/netfilter/nf_conntrack_udp_timeout': udpTimeoutS ?? 30,
          'net/netfilter/nf_conntrack_udp_timeout_stream': udpTimeoutS ?? 120,
        },
        rules: FAULT_TABLE,
      },
      this.#routerConfiguration(),
    ])
  }

  /** What is set up in the provider's namespace for this site's line, also after the line was made anew. */
  providerSetup(): Configuration {
    return { interfaces: providerLine(this.plan, this.#lineState), shell: this.line.shapeOf('provider') }
  }

  /** Starts miniupnpd on the router, if the site is to have it. */
  async startPortMapper(): Promise<void> {
    if (!mapsPorts(this.plan)) return
    const { processes, tempDir } = this.#surroundings
    this.#portMapper = await startPortMapper(processes, this.plan, this.router.namespace, tempDir)
  }

  get #processes(): ProcessTable {
    return this.#surroundings.processes
  }

  get #natState(): NatState {
    return { outside4: this.#outside4, epoch: this.#epoch }
  }

  get #lineState(): LineState {
    return { outside4: this.#outside4, mtu: this.#mtu, emulated: this.line.emulated }
  }

  #routerConfiguration(): Configuration {
    return {
      rules: natTable(this.plan, this.#natState),
      interfaces: [...routerLine(this.plan, this.#lineState), ...routerLan(this.plan, this.#outside4)],
      shell: this.line.shapeOf('router'),
    }
  }

  #addressesOf(n: number): HostAddresses {
    const own4 = isRouted(this.plan) ? this.#outside4 : hostAddress4(this.plan, n)
    return {
      v4: this.#outside4 === null ? null : own4,
      v6: hostAddress6(this.plan, n),
      outside4: this.#outside4,
      public4: this.public4,
    }
  }

  #fault(rules: string): Promise<void> {
    return configure(this.#processes, this.router.namespace, { rules })
  }

  async #setQuality(quality: LinkQuality): Promise<void> {
    if (await this.line.setQuality(quality)) return
    // The interface gets another number, to which miniupnpd would not listen.
    await this.#stopPortMapper()
    await this.line.becomeEmulated()
    await configure(this.#processes, this.router.namespace, this.#routerConfiguration())
    await this.#restoreProvider()
    await this.startPortMapper()
  }

  async #restoreProvider(): Promise<void> {
    await configure(this.#processes, this.#provider, this.providerSetup())
    const customers = this.#surroundings.customers()
    const internet = this.#surroundings.namespaceOf('internet')
    await configure(this.#processes, internet, { interfaces: customers.flatMap(distantRoutes) })
  }

  async #setQuiet(quiet: boolean): Promise<void> {
    this.#quiet = quiet
    const far = `site_${this.plan.number}`
    const who = { outside4: this.#outside4, prefix6: this.plan.prefix6 }
    await configure(this.#processes, this.router.namespace, {
      rules: quiet ? silenceTooBig('self', 'all') : speakTooBig('self'),
    })
    await configure(this.#processes, this.#provider, {
      rules: quiet ? silenceTooBig(far, who) : speakTooBig(far),
    })
  }

  async #stopPortMapper(): Promise<void> {
    await this.#portMapper?.stop()
    this.#portMapper = null
  }
}
