import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RELAY_ADDRESSES } from './address-plan.ts'
import { execOk } from './command.ts'
import type { ProcessTable } from './lab-process.ts'
import { NAMESPACE_FILES } from './traces.ts'

/** What is to be set up inside a namespace; all parts are optional and done in this order. */
export interface Configuration {
  /** Make a fresh namespace's network plain first: no reverse path filter, no duplicate address detection. */
  readonly plain?: boolean
  /** File under /proc/sys to its value. */
  readonly settings?: Readonly<Record<string, number>>
  /** nftables rules, loaded in one transaction. */
  readonly rules?: string
  /** ip(8) lines. */
  readonly interfaces?: readonly string[]
  /** Shell lines. */
  readonly shell?: readonly string[]
}

/** Namespaces and links in one go: lines of ip(8) run outside of every namespace. */
export async function ipBatch(processes: ProcessTable, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await execOk(processes, 'ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** One child process per namespace for all of a configuration, since starting processes is what takes the time. */
export async function configure(processes: ProcessTable, namespace: string, what: Configuration): Promise<void> {
  const script = [
    'set -e',
    ...(what.plain ? PLAIN_NETWORK : []),
    ...Object.entries(what.settings ?? {}).map(([file, value]) => `echo ${value} > /proc/sys/${file}`),
    ...withInput('nft -f -', what.rules ?? ''),
    ...withInput('ip -batch -', (what.interfaces ?? []).join('\n')),
    ...(what.shell ?? []),
  ]
  if (script.length === 1) return
  await execOk(processes, 'ip', ['netns', 'exec', namespace, 'sh'], { input: `${script.join('\n')}\n` })
}

/** One configuration that does what all of these do, part by part. */
export function mergeConfigurations(all: readonly Configuration[]): Configuration {
  return {
    plain: all.some(({ plain }) => plain),
    settings: Object.assign({}, ...all.map(({ settings }) => settings)),
    rules: all.map(({ rules }) => rules ?? '').join('\n'),
    interfaces: all.flatMap(({ interfaces }) => interfaces ?? []),
    shell: all.flatMap(({ shell }) => shell ?? []),
  }
}

const PLAIN_NETWORK: readonly string[] = [
  'for f in /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv6/conf/*/accept_dad' +
    ' /proc/sys/net/ipv6/conf/*/accept_ra; do echo 0 > "$f"; done',
  // Where these exist, the LAN's bridge would otherwise pass its frames through the router's filters.
  'for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 > "$f"; done',
  'ip link set lo up',
]

export const FORWARDING: Readonly<Record<string, number>> = {
  'net/ipv4/ip_forward': 1,
  'net/ipv6/conf/all/forwarding': 1,
}

/** Files that programs in the namespace see in /etc: the relay's names and no DNS. */
export async function writeNamespaceFiles(namespace: string, ipv6Only: boolean): Promise<void> {
  const folder = join(NAMESPACE_FILES, namespace)
  await mkdir(folder, { recursive: true })
  const [relay, relay2] = ipv6Only ? RELAY_ADDRESSES.v6 : RELAY_ADDRESSES.v4
  const names = { 'relay.test': relay, 'relay2.test': relay2, 'relay6.test': RELAY_ADDRESSES.v6[0] }
  const hosts = ['127.0.0.1 localhost', '::1 localhost', ...Object.entries(names).map(([name, ip]) => `${ip} ${name}`)]
  await Promise.all([
    writeFile(join(folder, 'hosts'), `${hosts.join('\n')}\n`),
    writeFile(join(folder, 'resolv.conf'), '# no DNS in the lab\n'),
  ])
}

/** A shell command that reads this text; none when there is no text. */
function withInput(command: string, text: string): readonly string[] {
  return text.trim() === '' ? [] : [`${command} <<'END_OF_INPUT'`, text, 'END_OF_INPUT']
}
