import { hostAddress4, hostAddress6, RELAY_ADDRESSES, type SitePlan } from './address-plan.ts'

/** The state of a site's outside line that its interfaces show. */
export interface LineState {
  readonly outside4: string | null
  readonly mtu: number
  readonly emulated: boolean
}

/** Routed sites have no address of their own on the line: 169.254 addresses stand in for the two ends. */
const ROUTER_OUTSIDE = '169.254.2.2'
const ROUTER_INSIDE = '169.254.1.1'

/** The provider's end of a site's outside line; 15 bytes are all an interface name may have. */
export function lineDevice(site: SitePlan): string {
  return `site-${site.number}`
}

export function isRouted(site: SitePlan): boolean {
  return site.behaviour.mapping === 'none'
}

/** ip(8) lines for the router's end of the outside line, fit to be run again after any change. */
export function routerLine(site: SitePlan, line: LineState): readonly string[] {
  const { gateway4, prefix6 } = site
  const has6 = prefix6 !== null && line.mtu >= 1280
  const source = line.outside4 === null || isRouted(site) ? '' : ` src ${line.outside4}`
  return [
    `link set wan address ${hardware(site).router} mtu ${line.mtu}${queue(line)} up`,
    ...(line.outside4 === null
      ? []
      : [
          `addr replace ${isRouted(site) ? ROUTER_OUTSIDE : line.outside4}/32 dev wan`,
          neighbour(gateway4, hardware(site).provider, 'wan'),
          `route replace ${gateway4} dev wan scope link${source}`,
          `route replace default via ${gateway4} dev wan${source}`,
        ]),
    ...(has6
      ? [
          'addr replace fe80::2/64 dev wan nodad',
          neighbour('fe80::1', hardware(site).provider, 'wan'),
          `addr replace ${prefix6}::1/128 dev wan nodad`,
          'route replace default via fe80::1 dev wan',
        ]
      : []),
  ]
}

/** ip(8) lines for the provider's end. */
export function providerLine(site: SitePlan, line: LineState): readonly string[] {
  const device = lineDevice(site)
  const has6 = site.prefix6 !== null && line.mtu >= 1280
  const hop = isRouted(site) ? ` via ${ROUTER_OUTSIDE} onlink` : ''
  return [
    `link set ${device} address ${hardware(site).provider} mtu ${line.mtu}${queue(line)} up`,
    ...(line.outside4 === null
      ? []
      : [
          `addr replace ${site.gateway4}/32 dev ${device}`,
          neighbour(isRouted(site) ? ROUTER_OUTSIDE : line.outside4, hardware(site).router, device),
          `route replace ${line.outside4}/32 dev ${device}${hop}`,
        ]),
    ...(has6
      ? [
          `addr replace fe80::1/64 dev ${device} nodad`,
          neighbour('fe80::2', hardware(site).router, device),
          `route replace ${site.prefix6}::/48 via fe80::2 dev ${device}`,
        ]
      : []),
  ]
}

/** ip(8) lines for the internet about a site that is behind a carrier: its IPv6 is routed, not translated. */
export function distantRoutes(site: SitePlan): readonly string[] {
  if (site.via === null || site.prefix6 === null) return []
  return [`route replace ${site.prefix6}::/48 via fe80::2 dev ${lineDevice(site.via)}`]
}

/** ip(8) lines for the router's inside. */
export function routerLan(site: SitePlan, outside4: string | null): readonly string[] {
  if (site.isCarrier) return []
  const own4 = isRouted(site)
    ? [`addr replace ${ROUTER_INSIDE}/32 dev lan`, `route replace ${outside4} dev lan scope link`]
    : [`addr replace ${site.lan4}.1/24 dev lan`]
  return [
    'link set lan up',
    ...Array.from({ length: site.hosts }, (_, i) => `link set host-${i + 1} master lan up`),
    ...(outside4 === null ? [] : own4),
    ...(site.prefix6 === null ? [] : [`addr replace ${site.prefix6}:1::1/64 dev lan nodad`]),
  ]
}

/** ip(8) lines for host n (1 and up) of a site. */
export function hostInterface(site: SitePlan, n: number, outside4: string | null): readonly string[] {
  const address6 = hostAddress6(site, n)
  const own4 = isRouted(site)
    ? [
        `addr replace ${outside4}/32 dev eth0`,
        `route replace ${ROUTER_INSIDE} dev eth0 scope link`,
        `route replace default via ${ROUTER_INSIDE} dev eth0`,
      ]
    : [`addr replace ${hostAddress4(site, n)}/24 dev eth0`, `route replace default via ${site.lan4}.1`]
  return [
    'link set eth0 up',
    ...(outside4 === null ? [] : own4),
    ...(address6 === null
      ? []
      : [`addr replace ${address6}/64 dev eth0 nodad`, `route replace default via ${site.prefix6}:1::1`]),
  ]
}

/** ip(8) lines for the relay host, and for the internet's end of its line. */
export function relayInterface(): readonly string[] {
  return [
    'link set eth0 up',
    ...RELAY_ADDRESSES.v4.map(address => `addr replace ${address}/24 dev eth0`),
    ...RELAY_ADDRESSES.v6.map(address => `addr replace ${address}/64 dev eth0 nodad`),
    `route replace default via ${RELAY_ADDRESSES.gateway4}`,
    `route replace default via ${RELAY_ADDRESSES.gateway6}`,
  ]
}

export function relayLine(): readonly string[] {
  return [
    'link set relay up',
    `addr replace ${RELAY_ADDRESSES.gateway4}/24 dev relay`,
    `addr replace ${RELAY_ADDRESSES.gateway6}/64 dev relay nodad`,
  ]
}

/** A TAP's default queue of 500 frames overflows while the emulator waits for a slot of CPU. */
function queue(line: LineState): string {
  return line.emulated ? ' txqueuelen 5000' : ''
}

/** The ends know each other's hardware address, or each first packet on a delayed line would wait two ways more. */
function neighbour(address: string, hardwareAddress: string, device: string): string {
  return `neigh replace ${address} lladdr ${hardwareAddress} dev ${device} nud permanent`
}

function hardware(site: SitePlan): { readonly router: string; readonly provider: string } {
  const last = site.number.toString(16).padStart(2, '0')
  return { router: `02:00:00:00:01:${last}`, provider: `02:00:00:00:02:${last}` }
}
