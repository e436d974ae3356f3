import { isIPv4 } from 'node:net'
import { LabError } from './lab-error.ts'
import type { CarrierOptions, LabOptions, NatOptions, SiteOptions } from './lab-options.ts'
import { CARRIER_KINDS, isCarrierKind, isSiteKind, SITE_KINDS, type SiteBehaviour, type SiteKind } from './site-kind.ts'

/**
 * The lab's internet. 44.128/16 is a test net that looks public: miniupnpd and others call the documentation
 * ranges (203.0.113/24, 198.51.100/24) reserved, and refuse to map ports on them.
 */
const PUBLIC_4 = '44.128'
const PUBLIC_6 = '2001:db8'

/** The relay host's two addresses of each family, and the internet's side of its line. */
export const RELAY_ADDRESSES = {
  v4: [`${PUBLIC_4}.255.10`, `${PUBLIC_4}.255.11`],
  v6: [`${PUBLIC_6}:ffff::10`, `${PUBLIC_6}:ffff::11`],
  gateway4: `${PUBLIC_4}.255.1`,
  gateway6: `${PUBLIC_6}:ffff::1`,
} as const

const MAX_SITES = 100

/** One router with what is behind it; carriers come before their customers. */
export interface SitePlan {
  readonly name: string
  /** 1 and up, over carriers and sites; every address of the site is made from it. */
  readonly number: number
  readonly kind: SiteKind
  readonly behaviour: SiteBehaviour
  readonly isCarrier: boolean
  readonly via: SitePlan | null
  readonly hosts: number
  /** The router's first address on its outside line; a routed site's host has it. Null without IPv4. */
  readonly outside4: string | null
  /** The provider's address on that line. */
  readonly gateway4: string
  /** The LAN's /24 without the last byte. */
  readonly lan4: string
  /** The site's /48 as `2001:db8:N`, null without IPv6; the LAN is its :1::/64. */
  readonly prefix6: string | null
  /** Nothing filters IPv6 that comes in. */
  readonly open6: boolean
  readonly nat: NatOptions
  readonly mapper: Pick<SiteOptions, 'upnp' | 'upnpRefuses' | 'natPmp' | 'pcp' | 'igdVersion'>
}

/** Lays out addresses for all that the options name, or throws `bad-option` with the place and the remedy. */
export function planLab(options: LabOptions): readonly SitePlan[] {
  const carriers = Object.entries(options.carriers ?? {}).map(([name, value]) => {
    const carrier: CarrierOptions = typeof value === 'string' ? { kind: value } : value
    if (!isCarrierKind(carrier.kind))
      throw bad(name, `carrier kind "${carrier.kind}" is none of ${CARRIER_KINDS.join(', ')}`)
    return { name, options: carrier }
  })
  const sites = Object.entries(options.sites).map(([name, value]) => {
    const site: SiteOptions = typeof value === 'string' ? { kind: value } : value
    if (!isSiteKind(site.kind)) throw bad(name, `kind "${site.kind}" is none of ${Object.keys(SITE_KINDS).join(', ')}`)
    return { name, options: site, behaviour: SITE_KINDS[site.kind] }
  })
  for (const { name } of [...carriers, ...sites]) checkName(name)
  const shared = carriers.filter(carrier => sites.some(site => site.name === carrier.name))
  if (shared[0]) throw bad(shared[0].name, 'is the name of a carrier and of a site')
  for (const { name, options: site, behaviour } of sites) {
    if (behaviour.carrier === null) continue
    if (site.via !== undefined)
      throw bad(name, `kind "${site.kind}" brings its own carrier; use kind "eim-apdf" with via`)
    const { hairpin = false } = site
    carriers.push({ name: `${name}.carrier`, options: { kind: behaviour.carrier, hairpin } })
  }
  if (carriers.length + sites.length > MAX_SITES) {
    throw new LabError('bad-option', `${carriers.length + sites.length} sites and carriers, at most ${MAX_SITES} fit`)
  }

  const plans: SitePlan[] = []
  for (const carrier of carriers) plans.push(planCarrier(carrier.name, carrier.options, plans.length + 1))
  for (const { name, options: site, behaviour } of sites) {
    const carrierName = behaviour.carrier === null ? site.via : `${name}.carrier`
    const via = plans.find(plan => plan.isCarrier && plan.name === carrierName) ?? null
    if (carrierName !== undefined && via === null) throw bad(name, `via "${carrierName}" is not among the carriers`)
    plans.push(planSite(name, site, plans.length + 1, via))
  }
  return plans
}

/** A site's next outside address when the caller has no wish: far from every first address, and back again. */
export function otherAddress(address: string): string {
  const cut = address.lastIndexOf('.')
  const last = Number(address.slice(cut + 1))
  return `${address.slice(0, cut)}.${last <= MAX_SITES + 10 ? last + 100 : last - 100}`
}

/** The address of host n (1 and up) on the site's LAN. */
export function hostAddress4(site: SitePlan, n: number): string {
  return `${site.lan4}.${9 + n}`
}

export function hostAddress6(site: SitePlan, n: number): string | null {
  return site.prefix6 === null ? null : `${site.prefix6}:1::${(9 + n).toString(16)}`
}

function planCarrier(name: string, options: CarrierOptions, number: number): SitePlan {
  checkNat(name, options)
  return {
    name,
    number,
    kind: options.kind,
    behaviour: SITE_KINDS[options.kind],
    isCarrier: true,
    via: null,
    hosts: 0,
    ...outside(number, null),
    // Carriers pass IPv6 on unfiltered: the firewall is the home's.
    prefix6: `${PUBLIC_6}:${number.toString(16)}`,
    open6: true,
    nat: options,
    mapper: {},
  }
}

function planSite(name: string, options: SiteOptions, number: number, via: SitePlan | null): SitePlan {
  checkNat(name, options)
  const behaviour = SITE_KINDS[options.kind]
  const routed = behaviour.mapping === 'none'
  const { hosts = 1, ipv6, upnp = false, natPmp = false, pcp = false, igdVersion = 2, upnpRefuses = false } = options
  if (!Number.isInteger(hosts) || hosts < 0 || hosts > 50) throw bad(name, `hosts ${hosts} is not within 0 to 50`)
  if (routed && hosts !== 1)
    throw bad(name, `kind "${options.kind}" is one public address, so it has 1 host, not ${hosts}`)
  if ((routed || ipv6 === 'only') && (upnp !== false || natPmp || (pcp && ipv6 === undefined))) {
    throw bad(name, 'port mapping needs a NAT; leave out upnp and natPmp, and pcp unless there is IPv6')
  }
  if (typeof upnp === 'string' && !isIPv4(upnp)) throw bad(name, `upnp "${upnp}" is not an IPv4 address to claim`)
  if (ipv6 !== undefined && (options.mtu ?? 1500) < 1280)
    throw bad(name, `IPv6 needs an mtu of 1280, not ${options.mtu}`)
  const addresses = outside(number, via)
  return {
    name,
    number,
    kind: options.kind,
    behaviour,
    isCarrier: false,
    via,
    hosts,
    ...addresses,
    outside4: ipv6 === 'only' ? null : addresses.outside4,
    prefix6: ipv6 === undefined ? null : `${PUBLIC_6}:${number.toString(16)}`,
    open6: ipv6 === 'open' || options.kind === 'none',
    nat: options,
    mapper: { upnp, upnpRefuses, natPmp, pcp, igdVersion },
  }
}

function outside(number: number, via: SitePlan | null): Pick<SitePlan, 'outside4' | 'gateway4' | 'lan4'> {
  const net = via === null ? `${PUBLIC_4}.0` : `100.64.${via.number}`
  return { outside4: `${net}.${10 + number}`, gateway4: `${net}.1`, lan4: `192.168.${number}` }
}

function checkName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,19}$/.test(name)) throw bad(name, 'a name is a letter, then up to 19 of a-z, 0-9 and -')
  if (name === 'relay' || name === 'internet') throw bad(name, 'is a part of every lab; choose another name')
}

function checkNat(name: string, options: NatOptions): void {
  const { lossPct = 0, rateMbit = 1, delayMs = 0, jitterMs = 0, mtu = 1500, udpTimeoutS = 30 } = options
  const ways = (value: number | { up: number; down: number }) =>
    typeof value === 'number' ? [value] : [value.up, value.down]
  const within = (what: string, value: number, low: number, high: number) => {
    if (!(value >= low && value <= high)) throw bad(name, `${what} ${value} is not within ${low} to ${high}`)
  }
  for (const value of ways(lossPct)) within('lossPct', value, 0, 100)
  for (const value of ways(rateMbit)) within('rateMbit', value, 0.01, 10_000)
  within('delayMs', delayMs, 0, 10_000)
  within('jitterMs', jitterMs, 0, 10_000)
  within('mtu', mtu, 576, 1500)
  within('udpTimeoutS', udpTimeoutS, 1, 86_400)
}

function bad(name: string, what: string): LabError {
  return new LabError('bad-option', `site "${name}": ${what}`)
}
