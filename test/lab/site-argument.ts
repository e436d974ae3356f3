import { LabError } from './lab-error.ts'
import type { CarrierOptions, EachWay, NatOptions, SiteOptions } from './lab-options.ts'
import { isCarrierKind, isSiteKind, SITE_KINDS } from './site-kind.ts'

/** The options of a site as one word, such as `alice=edm,upnp,delay=40`; throws `bad-option` with what it may be. */
export function parseSite(word: string): readonly [string, SiteOptions] {
  const { name, kind, options } = split(word)
  if (!isSiteKind(kind))
    throw new LabError('bad-option', `"${word}": a kind is one of ${Object.keys(SITE_KINDS).join(', ')}`)
  let site: SiteOptions = { kind }
  for (const [key, value] of options) site = { ...site, ...siteOption(word, key, value) }
  return [name, site]
}

/** The same for a shared carrier, such as `isp=edm,hairpin`. */
export function parseCarrier(word: string): readonly [string, CarrierOptions] {
  const { name, kind, options } = split(word)
  if (!isCarrierKind(kind)) throw new LabError('bad-option', `"${word}": "${kind}" is not the kind of a carrier`)
  let carrier: CarrierOptions = { kind }
  for (const [key, value] of options) carrier = { ...carrier, ...natOption(word, key, value) }
  return [name, carrier]
}

export const SITE_OPTIONS_HELP = `hosts=N               hosts on the LAN (1)
upnp[=ADDRESS]        UPnP IGD; claims ADDRESS as the external one
igd=1|2               IGD version (2)
nat-pmp  pcp          the other port mapping protocols
ipv6=on|open|only     behind a stateful firewall, without one, or without IPv4
via=CARRIER           customer of a --carrier
hairpin  preserve-ports=no  udp-timeout=S  tcp-reset  udp-reject
delay=MS  jitter=MS  loss=PCT  rate=MBIT (loss and rate also UP/DOWN)  mtu=BYTES`

function siteOption(word: string, key: string, value: string | null): Partial<SiteOptions> {
  switch (key) {
    case 'hosts':
      return { hosts: number(word, key, value) }
    case 'upnp':
      return { upnp: value ?? true }
    case 'igd':
      if (value !== '1' && value !== '2') throw bad(word, key, 'needs 1 or 2')
      return { igdVersion: value === '1' ? 1 : 2 }
    case 'nat-pmp':
      return { natPmp: true }
    case 'pcp':
      return { pcp: true }
    case 'ipv6':
      if (value !== 'on' && value !== 'open' && value !== 'only') throw bad(word, key, 'needs on, open or only')
      return { ipv6: value }
    case 'via':
      if (value === null) throw bad(word, key, 'needs the name of a carrier')
      return { via: value }
    default:
      return natOption(word, key, value)
  }
}

function natOption(word: string, key: string, value: string | null): NatOptions {
  switch (key) {
    case 'hairpin':
      return { hairpin: true }
    case 'preserve-ports':
      return { preservePorts: value !== 'no' }
    case 'udp-timeout':
      return { udpTimeoutS: number(word, key, value) }
    case 'tcp-reset':
      return { unsolicitedTcp: 'reset' }
    case 'udp-reject':
      return { unsolicitedUdp: 'reject' }
    case 'delay':
      return { delayMs: number(word, key, value) }
    case 'jitter':
      return { jitterMs: number(word, key, value) }
    case 'loss':
      return { lossPct: eachWay(word, key, value) }
    case 'rate':
      return { rateMbit: eachWay(word, key, value) }
    case 'mtu':
      return { mtu: number(word, key, value) }
    default:
      throw bad(word, key, `is unknown; there are:\n${SITE_OPTIONS_HELP}`)
  }
}

function split(word: string) {
  const at = word.indexOf('=')
  const [kind = '', ...rest] = word.slice(at + 1).split(',')
  if (at < 1) throw new LabError('bad-option', `"${word}" is not NAME=KIND[,OPTION[=VALUE]]...`)
  const options = rest.map((text): readonly [string, string | null] => {
    const [key = '', value] = text.split('=')
    return [key, value ?? null]
  })
  return { name: word.slice(0, at), kind, options }
}

function eachWay(word: string, key: string, value: string | null): EachWay {
  const [up = '', down] = (value ?? '').split('/')
  if (down === undefined) return number(word, key, up)
  return { up: number(word, key, up), down: number(word, key, down) }
}

function number(word: string, key: string, value: string | null): number {
  if (value === null || !/^\d+(\.\d+)?$/.test(value)) throw bad(word, key, 'needs a number')
  return Number(value)
}

function bad(word: string, key: string, what: string): LabError {
  return new LabError('bad-option', `"${word}": option "${key}" ${what}`)
}
