import type { RelayCheck, RelayStep } from '../../rendezvous/relay-check.ts'
import { knownTime } from '../../trust/known-time.ts'
import type { RelayStatus } from '../status.ts'
import { type Finding, type FindingCode, finding } from './finding.ts'

const FAILED: Readonly<
  Record<RelayStep, { readonly code: FindingCode; readonly words: string; readonly remedy: string }>
> = {
  name: {
    code: 'relay-name-unknown',
    words: 'its name cannot be looked up',
    remedy: 'check the name under "relays", and that this device has a working DNS server',
  },
  tcp: {
    code: 'relay-unreachable',
    words: 'it takes no connection',
    remedy: 'check that the relay runs, that its port is open, and that this device is online',
  },
  tls: {
    code: 'relay-tls-failed',
    words: 'TLS to it fails',
    remedy:
      "check the relay's certificate, the clock here, and the relay's id in the config; where no answer comes, the line may " +
      'swallow large packets, against which MSS clamping in the router helps',
  },
  answer: {
    code: 'relay-not-a-relay',
    words: 'what listens there does not answer as a relay',
    remedy: 'check the port under "relays", and what stands in front of the relay',
  },
  relay: {
    code: 'relay-not-a-relay',
    words: 'what answers there is no culvert relay',
    remedy: 'check the URL under "relays", and that a proxy in front of the relay lets WebSockets through',
  },
  id: {
    code: 'relay-id-wrong',
    words: 'it is another relay than the config says',
    remedy:
      'ask whoever runs the relay for its id, and correct it under "relays"; if it is right, do not trust this relay',
  },
}

/** What is to be said of each relay; `lines` is what the running agent knows of its own lines to them. */
export function relayFindings(checks: readonly RelayCheck[], lines: readonly RelayStatus[]): readonly Finding[] {
  if (checks.length === 0) {
    const remedy = 'add a relay under "relays"; "culvert relay" runs one'
    const text = 'no relay is configured, so only peers on the same local network, or reached before, are found'
    return [finding('relay-none', 'note', text, { remedy, gain: 'then peers are found wherever they are' })]
  }
  return checks.map(check => {
    const { url: subject, failedAt, reason } = check
    const line = lines.find(({ url }) => url === subject)
    if (failedAt) {
      const { code, words, remedy: usual } = FAILED[failedAt]
      const [fact = '', ...remedies] = (reason ?? '').split('; ')
      const remedy = remedies.length > 0 ? remedies.join('; ') : usual
      // An old line may outlive what keeps a new one from being made.
      const severity = line?.state === 'connected' ? 'note' : 'problem'
      return finding(code, severity, `${words}: ${fact}`, { subject, remedy })
    }
    if (line && line.state !== 'connected' && line.lastError !== null) {
      if (line.state === 'connecting' && !/refuses us|same identity/.test(line.lastError)) {
        const text = `it can be reached, but the line to it does not stand: ${line.lastError}`
        return finding('relay-unreachable', 'note', text, { subject, remedy: 'wait: a new line is being made' })
      }
      const remedy = remedyForRefusal(line.lastError)
      return finding('relay-refused', 'problem', `it answers, but does not take this device: ${line.lastError}`, {
        subject,
        remedy,
      })
    }
    if (check.largePackets === 'lost') {
      const text = 'small packets get to it, but full-sized ones are lost on the way without a word'
      return finding('relay-large-packets-lost', 'problem', text, {
        subject,
        remedy: SMALLER_PACKETS,
        gain: 'then connections over the relay come about, and so do those over TCP',
      })
    }
    return finding('relay-reachable', 'ok', `it can be reached (${timesOf(check)})`, { subject })
  })
}

const SMALLER_PACKETS =
  'turn on MSS clamping in the router here or set the smaller MTU of its line in it, or let the host of the relay keep ' +
  'its TCP segments small (README: "Lines that swallow large packets")'

function remedyForRefusal(reason: string): string {
  if (reason.includes('same identity')) {
    return 'give each device an identity of its own: remove identity.key on the copy, and run "culvert id" there'
  }
  if (reason.includes('was removed from its network')) {
    return 'ask an admin of the network for a new join code, if this device is to come back'
  }
  if (reason.includes('membership')) return 'ask an admin of the network to let this device in anew'
  const network = /does not admit (the network [a-z2-7]{52})/.exec(reason)?.[1]
  if (network !== undefined) return `ask whoever runs the relay to admit ${network}`
  return 'ask whoever runs the relay to admit this device ("culvert id" tells its id)'
}

function timesOf({ nameMs, tcpMs, tlsMs, answerMs }: RelayCheck): string {
  const steps = [
    ['name', nameMs],
    ['TCP', tcpMs],
    ['TLS', tlsMs],
    ['answer', answerMs],
  ] as const
  return steps.flatMap(([name, ms]) => (ms === null ? [] : [`${name} ${ms.toFixed(1)} ms`])).join(', ')
}

/** Ours: what a device shows that has no battery clock and did not reach a time server, or is set to another zone. */
const CLOCK_OFF_MS = 300_000

/** Whether the clock here can be right, by what relays say; undefined when none says anything. */
export function clockFinding(checks: readonly RelayCheck[], wallNow: number): Finding | undefined {
  // One relay's clock may be wrong itself; of several, the one that is the nearest to ours speaks.
  const [offset] = checks
    .flatMap(({ clockOffsetMs }) => (clockOffsetMs === null ? [] : [clockOffsetMs]))
    .toSorted((a, b) => Math.abs(a) - Math.abs(b))
  if (offset === undefined) return isSet(wallNow) ? undefined : unset(wallNow)
  if (Math.abs(offset) < CLOCK_OFF_MS) return finding('clock-right', 'ok', 'the clock agrees with the relays')
  const words = `the clock here is ${spanOf(Math.abs(offset))} ${offset > 0 ? 'behind' : 'ahead of'} the relay's`
  return finding('clock-wrong', 'problem', words, {
    remedy: 'set the clock, for example with "timedatectl set-ntp true"',
    gain: 'then the certificates of relays can be checked, and the log tells the right time',
  })
}

function isSet(wallNow: number): boolean {
  return knownTime(wallNow, 0).sure
}

function unset(wallNow: number): Finding {
  const words = `the clock here was never set: it says ${new Date(wallNow).toISOString().slice(0, 10)}`
  return finding('clock-unset', 'problem', words, {
    remedy: 'let it find a time server, for example with "timedatectl set-ntp true"',
    gain: 'then memberships end on their day; until then only what the root or a relay tells later ends them',
  })
}

function spanOf(ms: number): string {
  const units = [
    ['year', 365.25 * 86_400_000],
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ] as const
  const [unit, length] = units.find(([, length]) => ms >= length) ?? units[3]
  const count = Math.floor(ms / length)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
