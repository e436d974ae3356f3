/**
 * The table every router has for its faults: before conntrack on the way in and after NAT on the way out. A full table
 * of flows is told by what it does: what is no known flow is not let through.
 */
export const FAULT_TABLE = `
table inet fault {
  set cut { type ifname; }
  set no_udp { type ifname; }
  set no_tcp { type ifname; }
  set no_v4 { type ifname; }
  set full { type ifname; }
  chain in { type filter hook prerouting priority -400;
    iifname @cut drop
    iifname @no_udp meta l4proto udp drop
    iifname @no_tcp tcp sport != { 80, 443 } tcp dport != { 80, 443 } drop
    iifname @no_v4 meta nfproto ipv4 drop
  }
  chain out { type filter hook postrouting priority 400;
    oifname @cut drop
    oifname @no_udp meta l4proto udp drop
    oifname @no_tcp tcp sport != { 80, 443 } tcp dport != { 80, 443 } drop
    oifname @no_v4 meta nfproto ipv4 drop
  }
  chain through { type filter hook forward priority -10;
    iifname @full ct state new drop
    oifname @full ct state new drop
  }
}
`

export type FaultSet = 'cut' | 'no_udp' | 'no_tcp' | 'no_v4' | 'full'

/** Rules that put an interface into a fault's set; once more is no error. */
export function startFault(set: FaultSet, device: string): string {
  return `add element inet fault ${set} { "${device}" }\n`
}

/** Rules that take it out; `add` first, so that it is no error when it was not in. */
export function endFault(set: FaultSet, device: string): string {
  return `${startFault(set, device)}delete element inet fault ${set} { "${device}" }\n`
}

/** Who is not told that a packet was too big: everybody, or those whose packet was meant for these addresses. */
export type Unaware = 'all' | { readonly outside4: string | null; readonly prefix6: string | null }

/**
 * A router that never says "too big" (an MTU black hole); `name` tells several such tables of one router apart.
 * The packet it would complain about stands behind the 8 bytes of ICMP header: its destination is 16 bytes in for
 * IPv4 and 24 for IPv6. Raw priority, for later NAT has rewritten that copy already.
 */
export function silenceTooBig(name: string, who: Unaware): string {
  const match4 = who === 'all' ? '' : who.outside4 === null ? null : `@th,192,32 ${hex4(who.outside4)}`
  const match6 = who === 'all' ? '' : who.prefix6 === null ? null : `@th,256,48 ${hex6(who.prefix6)}`
  return `${speakTooBig(name)}
table inet quiet_${name} {
  chain errors { type filter hook output priority -300;
    ${match4 === null ? '' : `icmp type destination-unreachable icmp code frag-needed ${match4} drop`}
    ${match6 === null ? '' : `icmpv6 type packet-too-big ${match6} drop`}
  }
}
`
}

/** Ends `silenceTooBig`; no error when there was none. */
export function speakTooBig(name: string): string {
  return `table inet quiet_${name}\ndelete table inet quiet_${name}\n`
}

function hex4(address: string): string {
  return `0x${address
    .split('.')
    .map(byte => Number(byte).toString(16).padStart(2, '0'))
    .join('')}`
}

/** Of three groups, as in `2001:db8:3`. */
function hex6(prefix: string): string {
  return `0x${prefix
    .split(':')
    .map(group => group.padStart(4, '0'))
    .join('')}`
}
