import type { SitePlan } from './address-plan.ts'

/** What changes of a site's NAT while it runs. */
export interface NatState {
  readonly outside4: string | null
  /** Grows by one with each rebind; from 1 on the outside ports come from a range of their own. */
  readonly epoch: number
}

/** As many ports as one epoch uses: five such ranges fit between 20000 and 65535. */
const RANGE = 8192
/** The ports of one subscriber of a port-block NAT. */
const BLOCK = 1000
const DEFAULT_TIMEOUT_S = 120

/** The router's whole nftables table, which replaces the one before: port mappings and learnt mappings are gone. */
export function natTable(site: SitePlan, state: NatState): string {
  const timeout = `timeout ${site.nat.udpTimeoutS ?? DEFAULT_TIMEOUT_S}s; size 65535;`
  return `
table inet lab
delete table inet lab
table inet lab {
  map mapping { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; ${timeout} }
  set peers { type inet_service . ipv4_addr; flags dynamic,timeout; ${timeout} }
  set outside { type ipv4_addr; }
  map outside_of { type inet_proto : ipv4_addr; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain miniupnpd { }
  chain pre { type nat hook prerouting priority -100;
    jump prerouting_miniupnpd
    ${lines(inbound(site))}
  }
  chain post { type nat hook postrouting priority 100; }
  chain forward { type filter hook forward priority 0;
    ${lines(outbound(site))}
    ct state established,related accept
    ct status dnat accept
    jump miniupnpd
    ${lines(unasked(site))}
  }
  chain input { type filter hook input priority 0;
    ${lines(mappingProtocols(site))}
    iifname != "wan" accept
    ct state established,related accept
    meta l4proto icmpv6 accept
    icmp type echo-request accept
    ${lines(refusals(site))}
    drop
  }
  ${learning(site)}
}
${natMapping(site, state)}`
}

/** The part that depends on the outside address and the epoch; loaded alone it leaves port mappings as they are. */
export function natMapping(site: SitePlan, state: NatState): string {
  const known =
    state.outside4 === null
      ? []
      : [
          `add element inet lab outside { ${state.outside4} }`,
          `add element inet lab outside_of { tcp : ${state.outside4}, udp : ${state.outside4} }`,
        ]
  return `
flush chain inet lab post
table inet lab {
  chain post {
    jump postrouting_miniupnpd
    ${lines(hairpinSource(site))}
    ${lines(translation(site, state))}
  }
}
flush set inet lab outside
flush map inet lab outside_of
${known.join('\n')}
`
}

/** Forgets the mappings that EIF and ADF have learnt; those in conntrack are forgotten by `conntrack -F`. */
export const FORGET_LEARNT = 'flush map inet lab mapping\nflush set inet lab peers\n'

function translation(site: SitePlan, { outside4, epoch }: NatState): readonly string[] {
  const { mapping, ports } = site.behaviour
  const all = 'oifname "wan" meta nfproto ipv4'
  const from = 20_000 + RANGE * (epoch % 5)
  if (mapping === 'none' || outside4 === null) return []
  if (ports === 'random') return [`${all} masquerade fully-random`]
  if (ports === 'block') {
    const to = `masquerade to :${from}-${from + BLOCK - 1} fully-random`
    return [`${all} meta l4proto { udp, tcp } ${to}`, `${all} masquerade`]
  }
  if (ports === 'sequential') {
    // A map, because numgen's own number would be taken for a port in the other byte order: steps of 256.
    const map = Array.from({ length: RANGE }, (_, i) => `${i} : ${from + i}`).join(', ')
    const next = `numgen inc mod ${RANGE} map { ${map} }`
    return [`${all} meta l4proto { udp, tcp } snat ip to ${outside4} : ${next}`, `${all} masquerade`]
  }
  if (site.nat.preservePorts === false || epoch > 0) {
    // Linux keeps a local port that lies in the range, so what lies in the first half goes to the second.
    const half = (start: number) => `${start}-${start + RANGE / 2 - 1}`
    const [first, second] = [half(from), half(from + RANGE / 2)]
    const translate = (protocol: string) => [
      `${all} ${protocol} sport ${first} masquerade to :${second}`,
      `${all} meta l4proto ${protocol} masquerade to :${first}`,
    ]
    return [...translate('udp'), ...translate('tcp'), `${all} masquerade`]
  }
  return [`${all} masquerade`]
}

function inbound(site: SitePlan): readonly string[] {
  const { mapping, filtering } = site.behaviour
  const owner = 'dnat ip to udp dport map @mapping'
  const rules: string[] = []
  if (mapping === 'endpoint-independent' && filtering === 'endpoint-independent') {
    rules.push(`iifname "wan" meta nfproto ipv4 meta l4proto udp ${owner}`)
  }
  if (mapping === 'endpoint-independent' && filtering === 'address-dependent') {
    rules.push(`iifname "wan" meta nfproto ipv4 meta l4proto udp udp dport . ip saddr @peers ${owner}`)
  }
  if (site.nat.hairpin) rules.push(`iifname != "wan" ip daddr @outside meta l4proto udp ${owner}`)
  return rules
}

function hairpinSource(site: SitePlan): readonly string[] {
  if (!site.nat.hairpin) return []
  return [
    'iifname != "wan" oifname != "wan" ct status dnat meta l4proto { tcp, udp } snat ip to ip protocol map @outside_of',
  ]
}

/**
 * Remembers each outside port with its inside owner and its peers. Linux NAT itself only knows address-and-port-
 * dependent filtering, so wider filtering and hairpins are made of this memory.
 */
function learning(site: SitePlan): string {
  const { mapping, filtering } = site.behaviour
  const wide = mapping === 'endpoint-independent' && filtering !== 'address-and-port-dependent'
  if (!wide && !site.nat.hairpin) return ''
  const udp = 'oifname "wan" meta nfproto ipv4 meta l4proto udp'
  const owner = (way: string) => `update @mapping { udp sport : ct ${way} ip saddr . ct ${way} proto-src }`
  const replyOwner = 'update @mapping { udp sport : ct reply ip saddr . ct reply proto-src }'
  return `chain learn { type filter hook postrouting priority 110;
    ${udp} ct direction original ${owner('original')}
    ${udp} ct direction reply ${replyOwner}
    ${udp} update @peers { udp sport . ip daddr }
  }`
}

function outbound(site: SitePlan): readonly string[] {
  switch (site.behaviour.outbound) {
    case 'all':
      return []
    case 'no-udp':
      return ['oifname "wan" meta l4proto udp drop']
    case 'https':
      return [
        'oifname "wan" meta l4proto icmpv6 accept',
        'oifname "wan" tcp dport != { 80, 443 } drop',
        'oifname "wan" meta l4proto != tcp drop',
      ]
    default:
      return site.behaviour.outbound satisfies never
  }
}

function unasked(site: SitePlan): readonly string[] {
  const open4 = site.kind === 'none'
  const families = [...(open4 ? [] : ['ipv4']), ...(site.open6 ? [] : ['ipv6'])]
  return families.flatMap(family => [
    ...refusals(site).map(rule => `iifname "wan" meta nfproto ${family} ${rule}`),
    `iifname "wan" meta nfproto ${family} drop`,
  ])
}

function refusals(site: SitePlan): readonly string[] {
  return [
    ...(site.nat.unsolicitedTcp === 'reset' ? ['meta l4proto tcp reject with tcp reset'] : []),
    ...(site.nat.unsolicitedUdp === 'reject' ? ['meta l4proto udp reject with icmpx port-unreachable'] : []),
  ]
}

/** miniupnpd has one switch for both, so the one not wanted is dropped by its version byte (RFC 6887 appendix A). */
function mappingProtocols(site: SitePlan): readonly string[] {
  const { natPmp = false, pcp = false } = site.mapper
  if (natPmp === pcp) return []
  return [natPmp ? 'udp dport 5351 @th,64,8 != 0 drop' : 'udp dport 5351 @th,64,8 0 drop']
}

function lines(rules: readonly string[]): string {
  return rules.join('\n    ')
}
