import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { planLab, type SitePlan } from './address-plan.ts'
import { FAULT_TABLE } from './fault-rules.ts'
import { LabError } from './lab-error.ts'
import type { LabHost, SiteHost } from './lab-host.ts'
import { type LabIdentity, newLabIdentity } from './lab-identity.ts'
import type { LabOptions } from './lab-options.ts'
import { ProcessTable } from './lab-process.ts'
import { labRefusal } from './lab-rights.ts'
import { LabSite } from './lab-site.ts'
import { registerLab } from './live-labs.ts'
import { configure, FORWARDING, ipBatch, mergeConfigurations, writeNamespaceFiles } from './namespace.ts'
import { PacketCapture } from './packet-capture.ts'
import { mapsPorts } from './port-mapper.ts'
import { RelayHost } from './relay-host.ts'
import { requireTools } from './required-tools.ts'
import { removeLeftovers, removeTraces } from './traces.ts'
import { distantRoutes, relayInterface, relayLine } from './wiring.ts'

/**
 * Builds a small internet out of network namespaces: a relay host, and sites behind real kernel NATs. No packet
 * leaves the machine. Needs root's rights (`not-permitted`); what else it needs is named by `missing-tool`. Leftovers of dead labs are removed.
 */
export async function startLab(options: LabOptions): Promise<Lab> {
  const plans = planLab(options)
  const refusal = labRefusal()
  if (refusal !== undefined) throw new LabError('not-permitted', refusal)
  requireTools(['ip', 'tc', 'nft', 'conntrack', ...(plans.some(mapsPorts) ? ['miniupnpd' as const] : [])])
  removeLeftovers()
  const lab = new Lab(plans)
  try {
    await lab.build()
    return lab
  } catch (error) {
    await lab[Symbol.asyncDispose]()
    throw error
  }
}

/** A running lab; ends with `await using` or `[Symbol.asyncDispose]()`. */
export class Lab implements AsyncDisposable {
  /** Carriers, then sites, in the order of their options. */
  readonly sites: readonly LabSite[]
  readonly relayHost: RelayHost
  /** A directory for the lab's files, removed with it. */
  readonly tempDir: string
  readonly #identity: LabIdentity
  readonly #processes = new ProcessTable()
  readonly #unregister: () => void
  readonly #namespaceOf = (name: string): string => `${this.#identity.prefix}-${name}`
  #captures = 0

  constructor(plans: readonly SitePlan[]) {
    this.#identity = newLabIdentity()
    this.tempDir = this.#identity.tempDir
    this.relayHost = new RelayHost(this.#namespaceOf, this.#processes)
    const sites = new Map<SitePlan, LabSite>()
    for (const plan of plans) {
      const site = new LabSite(plan, {
        processes: this.#processes,
        tempDir: this.tempDir,
        namespaceOf: this.#namespaceOf,
        carrier: (plan.via && sites.get(plan.via)) ?? null,
        customers: () => plans.filter(({ via }) => via === plan),
      })
      sites.set(plan, site)
    }
    this.sites = [...sites.values()]
    this.#unregister = registerLab({ identity: this.#identity, processes: this.#processes })
  }

  /** Six characters, in the name of every namespace. */
  get id(): string {
    return this.#identity.id
  }

  get hosts(): readonly SiteHost[] {
    return this.sites.flatMap(({ hosts }) => hosts)
  }

  /** A site's host: `alice` is its first, `alice.2` its second. */
  host(name: string): SiteHost {
    return find('host', this.hosts, name)
  }

  /** A site or a carrier; the one that kind `carrier` brings is `alice.carrier`. */
  site(name: string): LabSite {
    return find('site', this.sites, name)
  }

  /** A host leaves its LAN and joins that of another site, as from Wi-Fi to a cellular line. */
  async move(host: string, to: string): Promise<void> {
    const moved = this.host(host)
    await moved.unplug()
    await moved.plugIn(await this.site(to).admit(moved))
  }

  /** Captures all frames of an interface, by default those that cross the relay host's line. */
  capture(host: LabHost = this.relayHost, device = 'eth0'): Promise<PacketCapture> {
    this.#captures += 1
    const file = join(this.tempDir, `capture-${this.#captures}.pcap`)
    return PacketCapture.start(this.#processes, host.namespace, device, file)
  }

  /** Makes everything the plan says; only `startLab` calls it. */
  async build(): Promise<void> {
    const internet = this.#namespaceOf('internet')
    const machines = [this.relayHost, ...this.sites.flatMap(({ router, hosts }) => [router, ...hosts])]
    await Promise.all([
      mkdir(this.tempDir, { mode: 0o700 }),
      ...this.sites.flatMap(({ plan, hosts }) =>
        hosts.map(({ namespace }) => writeNamespaceFiles(namespace, plan.outside4 === null)),
      ),
      writeNamespaceFiles(this.relayHost.namespace, false),
      ipBatch(this.#processes, [
        ...[internet, ...machines.map(({ namespace }) => namespace)].map(name => `netns add ${name}`),
        `link add relay netns ${internet} type veth peer name eth0 netns ${this.relayHost.namespace}`,
        ...this.sites.flatMap(siteLinks),
      ]),
    ])
    await Promise.all(this.sites.filter(({ line }) => line.plainLink === null).map(({ line }) => line.startEmulator()))
    const setupOf = (customers: readonly LabSite[]) => customers.map(site => site.providerSetup())
    await Promise.all([
      configure(this.#processes, internet, {
        ...mergeConfigurations([
          { plain: true, settings: FORWARDING, rules: FAULT_TABLE, interfaces: relayLine() },
          ...setupOf(this.sites.filter(({ plan }) => plan.via === null)),
          { interfaces: this.sites.flatMap(({ plan }) => distantRoutes(plan)) },
        ]),
      }),
      configure(this.#processes, this.relayHost.namespace, { plain: true, interfaces: relayInterface() }),
      ...this.sites.map(site =>
        configure(
          this.#processes,
          site.router.namespace,
          mergeConfigurations([
            site.routerSetup(),
            ...setupOf(this.sites.filter(({ plan }) => plan.via === site.plan)),
          ]),
        ),
      ),
      ...this.hosts.map(host => host.setUp()),
    ])
    await Promise.all(this.sites.map(site => site.startPortMapper()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.stopAll()
    removeTraces(this.#identity)
    this.#unregister()
  }
}

/** ip(8) lines that make a site's links: its plain outside line, its switch, and a cable to each host. */
function siteLinks({ plan, line, router, hosts }: LabSite): readonly string[] {
  const lan = `link add lan netns ${router.namespace} type bridge mcast_snooping 0`
  const cables = hosts.map(
    ({ namespace }, i) =>
      `link add host-${i + 1} netns ${router.namespace} type veth peer name eth0 netns ${namespace}`,
  )
  return [...(line.plainLink === null ? [] : [line.plainLink]), ...(plan.isCarrier ? [] : [lan, ...cables])]
}

function find<T extends { readonly name: string }>(what: string, all: readonly T[], name: string): T {
  const found = all.find(one => one.name === name)
  if (found) return found
  throw new LabError('unknown-name', `the lab has no ${what} "${name}", only ${all.map(one => one.name).join(', ')}`)
}
