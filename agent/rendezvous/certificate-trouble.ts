import type { X509Certificate } from 'node:crypto'

/** Why a relay's certificate was not taken: by OpenSSL's code, or Node's (`ERR_TLS_CERT_ALTNAME_INVALID`). */
export interface RefusedCertificate {
  readonly code: string
  readonly certificate:
    | Pick<X509Certificate, 'subject' | 'subjectAltName' | 'validFromDate' | 'validToDate'>
    | undefined
  readonly host: string
  /** An id is in the config; the key on the certificate is another. */
  readonly id: boolean
  readonly now: Date
}

/** What is wrong with it, and what would mend that, apart by a semicolon. */
export function certificateTrouble({ code, certificate, host, id, now }: RefusedCertificate): string {
  const here = `the clock here says ${instant(now)}`
  const setClock = 'set the clock of this device'
  switch (code) {
    case 'CERT_HAS_EXPIRED': {
      const until = certificate ? ` on ${instant(certificate.validToDate)}` : ''
      return `its certificate expired${until}, and ${here}; where that is right, the relay needs a new certificate, else ${setClock}`
    }
    case 'CERT_NOT_YET_VALID': {
      const from = certificate ? ` from ${instant(certificate.validFromDate)}` : ' later'
      return `its certificate is valid${from} on, and ${here}; ${setClock}`
    }
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `its certificate is for ${namesOn(certificate)}, not for ${host}; write a name on it into the "url" of this relay`
    default: {
      const key = id ? ', nor has it the key of the "id" in the config' : ''
      const remedy =
        'let the relay serve the whole chain that its authority gave it, or run it without TLS under its id'
      return `its certificate is from no authority that this device knows (${words(code)})${key}; ${remedy}`
    }
  }
}

function namesOn(certificate: RefusedCertificate['certificate']): string {
  const names = certificate?.subjectAltName ?? certificate?.subject ?? ''
  // Whoever answers chose them.
  return names === '' ? 'no name' : names.replace(/(?:DNS|IP Address):/g, '').slice(0, 200)
}

const words = (code: string) => code.toLowerCase().replaceAll('_', ' ').slice(0, 60)

const instant = (date: Date) => (Number.isNaN(date.getTime()) ? '?' : `${date.toISOString().slice(0, 16)}Z`)
