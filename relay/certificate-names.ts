import type { X509Certificate } from 'node:crypto'
import type { OptionFault } from './options.ts'

/** What is looked at of the certificate that a relay serves. */
export type ServedCertificate = Pick<
  X509Certificate,
  'subject' | 'subjectAltName' | 'checkIssued' | 'validFromDate' | 'validToDate'
> & { readonly publicKey: Pick<X509Certificate['publicKey'], 'asymmetricKeyType'> }

/**
 * The host by which agents can dial the relay: one that its certificate names, else they refuse it. `address` is where it
 * is reached without a certificate. Undefined when no name can be told from the certificate.
 */
export function hostOn(certificate: Pick<ServedCertificate, 'subject' | 'subjectAltName'>, address: string) {
  const { dns, ip } = namesOn(certificate)
  return dns.find(name => !name.startsWith('*')) ?? ip.find(one => one === address) ?? ip[0]
}

function namesOn({ subject, subjectAltName = '' }: Pick<ServedCertificate, 'subject' | 'subjectAltName'>) {
  const named = (kind: string) => {
    const entries = subjectAltName.split(', ').filter(entry => entry.startsWith(`${kind}:`))
    return entries.map(entry => entry.slice(kind.length + 1))
  }
  const dns = named('DNS').filter(name => HOST.test(name))
  const ip = named('IP Address').map(address => address.toLowerCase())
  // RFC 6125 §6.4.4: the common name counts only where no other name is there.
  const common = dns.length + ip.length === 0 ? /^CN=(.*)$/m.exec(subject)?.[1] : undefined
  return { dns: common !== undefined && HOST.test(common) ? [common] : dns, ip }
}

const HOST = /^(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/i

export interface CertificateLook {
  /** Agents refuse it as it is. */
  readonly faults: readonly OptionFault[]
  readonly warnings: readonly OptionFault[]
}

/** What keeps agents from taking a certificate that can be served. */
export function lookAtCertificate(
  certificate: ServedCertificate,
  { file, url, now }: { readonly file: string; readonly url: string | undefined; readonly now: Date },
): CertificateLook {
  // No authority signs such a key: it is the relay's own, and agents know it by the id.
  if (certificate.publicKey.asymmetricKeyType === 'ed25519') return { faults: [], warnings: [] }
  const of = (problem: string, remedy: string): OptionFault => {
    return { place: 'tls.cert', value: JSON.stringify(file), problem, remedy }
  }
  const { validFromDate, validToDate } = certificate
  const clock = 'or set the clock of this machine if it is wrong'
  const faults: OptionFault[] = []
  if (now > validToDate) {
    faults.push(of(`expired on ${dayOf(validToDate)}, so agents refuse it`, `get a new one, ${clock}`))
  }
  if (now < validFromDate) {
    faults.push(of(`is valid from ${dayOf(validFromDate)} on only, so agents refuse it`, `wait until then, ${clock}`))
  }
  const warnings: OptionFault[] = []
  if (certificate.checkIssued(certificate as X509Certificate)) {
    const remedy = 'get one from an authority, or do without "tls": with the relay\'s id, agents need no certificate'
    warnings.push(of('is signed by no certificate authority, so agents refuse it', remedy))
  }
  if (url === undefined && hostOn(certificate, '') === undefined) {
    const [wildcard] = namesOn(certificate).dns
    const problem = wildcard === undefined ? 'names no host' : `names only ${wildcard}`
    warnings.push(of(`${problem}, so the line for agents lacks it`, 'set "url" to the URL that agents use'))
  }
  return { faults, warnings }
}

const dayOf = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z')
