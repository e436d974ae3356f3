import type { AgentConfig } from '../config/agent-config.ts'
import { type RelayAddress, relayAddress } from './relay-dial.ts'

/** The relays of a config, each with the HTTP proxy that the environment asks for. */
export function relayAddresses(
  relays: AgentConfig['relays'],
  environment: Readonly<Record<string, string | undefined>>,
  /** Where a relay was reached last: DNS may be away when the agent starts. */
  lastAddressOf: (url: string) => string | undefined = () => undefined,
): readonly RelayAddress[] {
  return relays.map(({ url, id }) => {
    const parsed = new URL(url)
    const address = relayAddress(parsed, id, proxyFor(parsed, environment))
    const last = address.proxy ? undefined : lastAddressOf(parsed.origin)
    return last === undefined ? address : { ...address, known: { ...address.known, address: last } }
  })
}

/** `HTTPS_PROXY` and `NO_PROXY` as curl reads them, in either case; a proxy that is no URL is none. */
function proxyFor(url: URL, environment: Readonly<Record<string, string | undefined>>): URL | undefined {
  const read = (name: string) => environment[name.toLowerCase()] ?? environment[name]
  const proxy = read('HTTPS_PROXY')
  if (!proxy || isExempt(url.hostname, read('NO_PROXY') ?? '')) return undefined
  const text = proxy.includes('://') ? proxy : `http://${proxy}`
  return URL.canParse(text) ? new URL(text) : undefined
}

function isExempt(host: string, list: string): boolean {
  return list
    .split(',')
    .map(entry => entry.trim().replace(/^\./, '').toLowerCase())
    .some(entry => entry !== '' && (entry === '*' || host === entry || host.endsWith(`.${entry}`)))
}
