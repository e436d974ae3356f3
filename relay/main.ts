import { access, constants, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import { systemClock } from '../common/platform/clock.ts'
import { createLog, logStyle } from '../common/platform/log.ts'
import { type InterfaceAddress, listInterfaceAddresses } from '../common/platform/network-interfaces.ts'
import { systemRandom } from '../common/platform/random.ts'
import { serviceManager } from '../common/platform/service-manager.ts'
import { addressScope, type Endpoint, formatEndpoint } from '../common/wire/endpoint.ts'
import { hostOn, lookAtCertificate, type ServedCertificate } from './certificate-names.ts'
import { formatOptionFault, loadRelayOptions, type OptionFault, type RelayOptions, relayOptionsOf } from './options.ts'
import { type Relay, startRelay } from './relay.ts'
import { loadRelayKey, tidyRelayState } from './relay-key.ts'
import { loadTls } from './tls-reload.ts'

const DEFAULT_RELAY_CONFIG = '/etc/culvert/relay.json'

export interface RelayCommand {
  /** From `--config`; absent = the default path, and without a file there the defaults. */
  readonly configFile?: string
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Called once everything listens. */
  readonly onReady?: (relay: Relay) => void
}

/** What is to be said of a relay's config that is valid, and what else the relay has to read, by its place in it. */
export interface RelayCheckup {
  readonly warnings: readonly OptionFault[]
  readonly files: readonly (readonly [place: string, file: string])[]
}

/**
 * Rejects with every fault of a relay's config file, or with what is wrong with the certificate that it names; resolves
 * with what can be served, but is not what agents take.
 */
export async function checkRelayConfig(file: string): Promise<RelayCheckup> {
  const { tls, url } = await loadRelayOptions(file)
  if (!tls) return { warnings: [], files: [] }
  try {
    const { certificate } = await loadTls(tls)
    const now = new Date(systemClock.wallNow())
    const { faults, warnings } = lookAtCertificate(certificate, { file: tls.cert, url, now })
    if (faults.length > 0) throw new CulvertError('bad-config', faults.map(formatOptionFault).join('; '))
    const files = [
      ['tls.cert', tls.cert],
      ['tls.key', tls.key],
    ] as const
    return { warnings, files }
  } catch (thrown) {
    throw new CulvertError('bad-config', `${file}: ${reasonOf(thrown)}`, { cause: thrown })
  }
}

/**
 * `culvert relay`: runs a relay until the signal aborts, then stops it within 3 s. SIGHUP reads the config and the TLS
 * files again. Throws `bad-config`, `identity-unreadable`, `port-in-use` or `io` when it cannot start.
 */
export async function runRelay(command: RelayCommand, signal: AbortSignal): Promise<void> {
  const { file, options } = await findOptions(command.configFile)
  const style = logStyle(process.env, systemClock)
  const log = createLog({ level: options.log.level, ...style, write: command.stderr })
  const key = await loadRelayKey(options.stateDir)
  await tidyRelayState(options.stateDir, systemClock)
  const relay = await startRelay(options, {
    clock: systemClock,
    random: systemRandom,
    log,
    key,
    stateDir: options.stateDir,
  })
  const manager = serviceManager(process.env, { clock: systemClock, log, status: () => summary(relay) })
  const reload = async () => {
    await relay.reloadTls()
    if (file === undefined) return
    try {
      const next = await loadRelayOptions(file)
      log.setLevel(next.log.level)
      const later = relay.reconfigure(next)
      log.info('config read again', { file, needsRestart: later.length > 0 ? later.join(',') : undefined })
    } catch (thrown) {
      for (const why of reasonOf(thrown).split('\n')) log.error('config not taken over', { why })
    }
  }
  const onHangUp = () => {
    manager.reloading()
    reload()
      .catch((thrown: unknown) => log.error('reload failed', { why: reasonOf(thrown) }))
      .finally(() => manager.ready())
  }
  process.on('SIGHUP', onHangUp)
  try {
    const place = { http: relay.http, interfaces: listInterfaceAddresses(), certificate: relay.certificate }
    command.stdout(`${relayLine(options, relay.id, place)}\n`)
    log.info('relay ready', {
      http: formatEndpoint(relay.http),
      stun: relay.stunPorts?.join(',') ?? 'off',
      admin: relay.admin ? formatEndpoint(relay.admin) : undefined,
      splice: relay.spliceMode,
    })
    command.onReady?.(relay)
    manager.ready()
    relay.onChange(() => manager.changed())
    await aborted(signal)
    log.info('relay stops')
    manager.stopping()
  } finally {
    manager.close()
    process.off('SIGHUP', onHangUp)
    await relay.stop()
  }
}

function summary(relay: Relay): string {
  const { lines, pipesJoined } = relay.status()
  return `${lines} agents connected, ${pipesJoined} pipes`
}

/** Where a relay listens, on what machine, and by what certificate it is known. */
export interface RelayPlace {
  readonly http: Endpoint
  readonly interfaces: readonly InterfaceAddress[]
  readonly certificate: Pick<ServedCertificate, 'subject' | 'subjectAltName'> | undefined
}

/**
 * What goes into an agent's `relays`. Without `url`, the host is one that the certificate names, or else the address that
 * others most likely reach us at.
 */
export function relayLine(options: Pick<RelayOptions, 'url'>, id: string, place: RelayPlace): string {
  return `{ "url": ${JSON.stringify(options.url ?? urlAt(place))}, "id": "${id}" }`
}

function urlAt({ http, interfaces, certificate }: RelayPlace): string {
  const any = http.address === '::' || http.address === '0.0.0.0'
  const address = any ? reachableAddress(interfaces, http.address === '0.0.0.0') : http.address
  const host = (certificate && hostOn(certificate, address)) ?? address
  const where = formatEndpoint({ address: host, port: http.port })
  return certificate ? `https://${where.replace(/:443$/, '')}` : `http://${where}`
}

const SCOPE_ORDER = ['public', 'private', 'carrier', 'loopback']

/** IPv4 before IPv6 in each scope: more agents have it. */
function reachableAddress(interfaces: readonly InterfaceAddress[], onlyIpv4: boolean): string {
  const worth = ({ address, family }: InterfaceAddress) => {
    const order = SCOPE_ORDER.indexOf(addressScope(address))
    return (order < 0 ? SCOPE_ORDER.length : order) * 10 + family
  }
  const usable = interfaces.filter(entry => entry.family === 4 || !onlyIpv4)
  return usable.toSorted((a, b) => worth(a) - worth(b))[0]?.address ?? '127.0.0.1'
}

async function findOptions(
  configFile: string | undefined,
): Promise<{ readonly file: string | undefined; readonly options: RelayOptions }> {
  const file = configFile ?? DEFAULT_RELAY_CONFIG
  if (configFile !== undefined || (await exists(file))) return { file, options: await loadRelayOptions(file) }
  const defaults = relayOptionsOf({})
  if (!defaults.ok) throw new CulvertError('internal', 'the default options are not valid')
  const options = defaults.options
  return { file: undefined, options: { ...options, stateDir: await writableStateDir(options.stateDir) } }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return false
    throw new CulvertError('bad-config', `${file}: cannot be read (${reasonOf(cause)}); run as its owner`, { cause })
  }
}

/** Whoever tries a relay out without being root gets a state directory of his own. */
async function writableStateDir(wanted: string): Promise<string> {
  try {
    await mkdir(wanted, { recursive: true, mode: 0o700 })
    await access(wanted, constants.W_OK)
    return wanted
  } catch {
    return join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'culvert-relay')
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
