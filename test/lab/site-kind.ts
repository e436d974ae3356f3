/** What stands between a site's hosts and the internet, in the words of RFC 4787 (mapping §4.1, filtering §5). */
export interface SiteBehaviour {
  /** `none`: the host has a public address of its own. */
  readonly mapping: 'none' | 'endpoint-independent' | 'address-and-port-dependent'
  readonly filtering: 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'
  /**
   * How the outside port is chosen: the inside one where free, a random one, the next one (RFC 4787 §4.2.1), or a
   * random one of the thousand that a subscriber has (RFC 7422).
   */
  readonly ports: 'preserved' | 'random' | 'sequential' | 'block'
  /** What the site may send: everything, all but UDP, or TCP to ports 80 and 443 only. */
  readonly outbound: 'all' | 'no-udp' | 'https'
  /** The kind of a carrier's NAT (RFC 6888) made for this site alone, behind which the site stands. */
  readonly carrier: 'eim-apdf' | 'edm' | null
}

const home = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  ports: 'preserved',
  outbound: 'all',
  carrier: null,
} as const satisfies SiteBehaviour

/**
 * Every kind of site. EIM and EDM: endpoint-independent and (address and port) dependent mapping; EIF, ADF, APDF:
 * endpoint-independent, address-dependent, address-and-port-dependent filtering. EIF and ADF concern UDP: what a
 * TCP host did not ask for is kept out by every kind but `none`, as on most routers.
 */
export const SITE_KINDS = {
  none: { ...home, mapping: 'none', filtering: 'endpoint-independent' },
  firewall: { ...home, mapping: 'none' },
  'eim-eif': { ...home, filtering: 'endpoint-independent' },
  'eim-adf': { ...home, filtering: 'address-dependent' },
  'eim-apdf': home,
  edm: { ...home, mapping: 'address-and-port-dependent', ports: 'random' },
  'edm-sequential': { ...home, mapping: 'address-and-port-dependent', ports: 'sequential' },
  'edm-block': { ...home, mapping: 'address-and-port-dependent', ports: 'block' },
  carrier: { ...home, carrier: 'eim-apdf' },
  'carrier-edm': { ...home, carrier: 'edm' },
  'udp-blocked': { ...home, outbound: 'no-udp' },
  'https-only': { ...home, outbound: 'https' },
} as const satisfies Readonly<Record<string, SiteBehaviour>>

export type SiteKind = keyof typeof SITE_KINDS

/** The kinds a carrier's own NAT can be. */
export const CARRIER_KINDS = ['eim-eif', 'eim-adf', 'eim-apdf', 'edm', 'edm-sequential', 'edm-block'] as const
export type CarrierKind = (typeof CARRIER_KINDS)[number]

export function isSiteKind(text: string): text is SiteKind {
  return Object.hasOwn(SITE_KINDS, text)
}

export function isCarrierKind(text: string): text is CarrierKind {
  return CARRIER_KINDS.some(kind => kind === text)
}
