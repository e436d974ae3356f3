import type { CarrierKind, SiteKind } from './site-kind.ts'

/** A figure for both ways of a line, or one for each; `up` is from the site to the internet. */
export type EachWay = number | { readonly up: number; readonly down: number }

/**
 * The outside line of a site. Any of delayMs, jitterMs, lossPct, be it 0, makes it an emulated line from the start;
 * a plain line that gets its first delay or loss later becomes a new interface, and the router's mappings are lost.
 */
export interface LineOptions {
  /** One way, so the round trip grows by twice this. Default: none. */
  readonly delayMs?: number
  /** Up to this much is added to the delay of each frame; the order is kept. */
  readonly jitterMs?: number
  readonly lossPct?: EachWay
  /** Token bucket with at most 50 ms of queue. Default: as fast as the machine. */
  readonly rateMbit?: EachWay
  /** Bytes; default 1500. Below 1280 the line has no IPv6. */
  readonly mtu?: number
}

export interface NatOptions extends LineOptions {
  /** Hosts inside reach each other's UDP mappings through the outside address (RFC 4787 §6). Default false. */
  readonly hairpin?: boolean
  /** False: the outside port always differs from the inside one, still endpoint-independent. Default true. */
  readonly preservePorts?: boolean
  /** Life of an idle UDP mapping. Default: 30 s until both sides have talked, then 120 s. */
  readonly udpTimeoutS?: number
  /** What answers a TCP connection that nobody asked for: silence or RST. Default `drop`. */
  readonly unsolicitedTcp?: 'drop' | 'reset'
  /** What answers a datagram that nobody asked for: silence or ICMP port unreachable. Default `drop`. */
  readonly unsolicitedUdp?: 'drop' | 'reject'
}

export interface SiteOptions extends NatOptions {
  readonly kind: SiteKind
  /** Hosts on the site's LAN, 0 to 50; a site of kind `none` or `firewall` has one. Default 1. */
  readonly hosts?: number
  /** UPnP IGD on the router; an address: it claims that one as its external address. Default false. */
  readonly upnp?: boolean | string
  /** Every port that is asked for by UPnP is refused with error 606. Default false. */
  readonly upnpRefuses?: boolean
  /** The IGD version described to clients. Default 2, as Debian's miniupnpd. */
  readonly igdVersion?: 1 | 2
  /** NAT-PMP (RFC 6886) on the router. Default false. */
  readonly natPmp?: boolean
  /** PCP (RFC 6887) on the router. Default false. */
  readonly pcp?: boolean
  /** `on`: behind a stateful firewall; `open`: without one; `only`: no IPv4 at all. Default: no IPv6. */
  readonly ipv6?: 'on' | 'open' | 'only'
  /** The carrier in LabOptions.carriers that the site is a customer of. */
  readonly via?: string
}

export interface CarrierOptions extends NatOptions {
  readonly kind: CarrierKind
}

/** What the lab is made of: site and carrier names (a-z, 0-9, -) to a kind, or a kind with options. */
export interface LabOptions {
  readonly sites: Readonly<Record<string, SiteKind | SiteOptions>>
  /** Carrier NATs shared by the sites that name them in `via`. */
  readonly carriers?: Readonly<Record<string, CarrierKind | CarrierOptions>>
}
