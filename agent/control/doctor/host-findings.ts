import { addressScope } from '../../../common/wire/endpoint.ts'
import { isTunnelInterface } from '../../nat/interface-kind.ts'
import type { DhtState } from '../../rendezvous/dht/dht-directory.ts'
import { type Finding, finding } from './finding.ts'
import type { HostFacts } from './host-facts.ts'

/** Ours: an agent with ten peers needs some fifty; one with forwards needs two per connection. */
const FEW_FILES = 1024
/** RFC 8200 §5: no link that carries IPv6 has less. */
const SMALL_MTU = 1280

export function hostFindings(facts: HostFacts): readonly Finding[] {
  return [...fileFinding(facts), listeningFinding(facts), ipv6Finding(facts), ...mtuFinding(facts)]
}

function fileFinding({ files }: HostFacts): readonly Finding[] {
  if (!files) return []
  const { limit, open } = files
  const words = `${open} of ${Number.isFinite(limit) ? limit : 'any number of'} files are open`
  const remedy = 'raise LimitNOFILE= of the service, or run "ulimit -n" before the agent'
  if (open > 0.8 * limit) {
    return [finding('file-limit-low', 'problem', `${words}: connections will soon be refused`, { remedy })]
  }
  if (limit < FEW_FILES) return [finding('file-limit-low', 'note', `${words}, which is little`, { remedy })]
  return [finding('file-limit-enough', 'ok', words)]
}

function listeningFinding({ listening, tcpPort }: HostFacts): Finding {
  if (listening) return finding('listening', 'ok', `TCP port ${tcpPort} takes connections on this machine`)
  return finding('listening-failed', 'problem', `TCP port ${tcpPort} takes no connection even from this machine`, {
    remedy: 'let it through the firewall of this machine (nft, ufw, firewalld)',
    gain: 'then peers can come in directly',
  })
}

function ipv6Finding({ addresses }: HostFacts): Finding {
  const open = addresses.some(
    ({ family, address, interfaceName }) =>
      family === 6 && addressScope(address) === 'public' && !isTunnelInterface(interfaceName),
  )
  if (open) return finding('ipv6-public', 'ok', 'this machine has a public IPv6 address')
  return finding(
    'ipv6-missing',
    'ok',
    'this machine has no public IPv6 address; with one on both sides no NAT is between',
  )
}

/** Why no peer is heard on a link of this machine. */
export function lanFinding(problem: { readonly interfaceName: string; readonly reason: string } | undefined) {
  if (!problem) return []
  const text = `peers on the local network of ${problem.interfaceName} are not found: ${problem.reason}`
  const remedy =
    'let other programs share UDP port 5353: "ss -ulpn" tells which one holds it; or set "lan.discovery" to false'
  return [finding('lan-deaf', 'note', text, { remedy, gain: 'then they are found without a relay' })]
}

/** Whether the DHT is of use, where it is wanted. */
export function dhtFinding(state: DhtState): readonly Finding[] {
  if (state === 'off' || state === 'unknown') return []
  if (state === 'answers') return [finding('dht-answers', 'ok', 'the DHT answers: peers find this device there')]
  const remedy = 'let UDP out, and check the names under "dht.bootstrap"; or set "dht.enabled" to false'
  return [finding('dht-silent', 'note', 'no node of the DHT answers, so nobody finds this device there', { remedy })]
}

function mtuFinding({ mtu }: HostFacts): readonly Finding[] {
  if (!mtu || mtu.bytes >= SMALL_MTU) return []
  const text = `${mtu.interfaceName} takes packets of no more than ${mtu.bytes} bytes, less than IPv6 needs`
  return [
    finding('mtu-small', 'note', text, { remedy: `raise the MTU of ${mtu.interfaceName} to ${SMALL_MTU} or more` }),
  ]
}
