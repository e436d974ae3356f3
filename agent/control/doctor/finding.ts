/**
 * What one look found. `problem`: something does not work. `note`: it works, and could be better. The codes are a
 * contract with whoever reads `doctor --json`: they are added to, never changed.
 */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** The relay's URL or the peer's name; null where it is about this device. */
  readonly subject: string | null
  readonly text: string
  readonly remedy: string | null
  /** What the remedy would gain. */
  readonly gain: string | null
}

export type Severity = 'ok' | 'note' | 'problem'

export const FINDING_CODES = [
  'agent-not-running',
  'config-valid',
  'config-invalid',
  'clock-right',
  'clock-wrong',
  'clock-unset',
  'file-limit-enough',
  'file-limit-low',
  'listening',
  'listening-failed',
  'ipv6-public',
  'ipv6-missing',
  'mtu-small',
  'lan-deaf',
  'relay-none',
  'relay-reachable',
  'relay-refused',
  'relay-name-unknown',
  'relay-unreachable',
  'relay-tls-failed',
  'relay-not-a-relay',
  'relay-id-wrong',
  'relay-large-packets-lost',
  'reachable',
  'unreachable',
  'link-down',
  'nat-none',
  'nat-firewall',
  'nat-endpoint-independent',
  'nat-address-dependent',
  'nat-unknown',
  'udp-blocked',
  'web-only',
  'carrier-nat',
  'port-mapping-made',
  'port-mapping-unverified',
  'port-mapping-failed',
  'port-mapping-absent',
  'port-mapping-off',
  'dht-answers',
  'dht-silent',
  'service-down',
  'forward-failed',
  'forward-unanswered',
  'network-out',
  'network-damaged',
  'peers-none',
  'stranger-called',
  'peer-direct',
  'peer-relayed',
  'peer-idle',
  'peer-connecting',
  'peer-offline',
  'peer-refused',
  'peer-unreachable',
  'peer-silent',
  'peer-known-long-ago',
] as const
export type FindingCode = (typeof FINDING_CODES)[number]

/** A finding with what is usual left out. */
export function finding(
  code: FindingCode,
  severity: Severity,
  text: string,
  more: Partial<Pick<Finding, 'subject' | 'remedy' | 'gain'>> = {},
): Finding {
  return { code, severity, subject: null, text, remedy: null, gain: null, ...more }
}

/** True when nothing is wrong, whatever could be better. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ severity }) => severity !== 'problem')
}
