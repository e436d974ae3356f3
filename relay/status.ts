import type { Counters } from './counters.ts'
import type { Metric } from './metrics.ts'

/** What a relay is doing now; counts since its start unless said. */
export interface RelayStatus {
  readonly healthy: boolean
  /** Open now. */
  readonly lines: number
  readonly connections: number
  readonly pipesOpen: number
  readonly pipesJoined: number
  readonly throttled: number
  readonly pipeBytes: number
  /** Removals, and what roots signed anew, of the networks that are admitted. */
  readonly remembered: number
  /** Expected by agents that are connected. */
  readonly guests: number
  readonly uptimeS: number
  readonly loopLagS: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly residentBytes: number
  readonly cpuS: number
}

export function metricsOf(status: RelayStatus, counters: Counters): readonly Metric[] {
  const one = (type: Metric['type'], name: string, help: string, value: number): Metric => {
    return { name: `culvert_relay_${name}`, help, type, samples: [{ value }] }
  }
  return [
    one('gauge', 'lines', 'Agents connected.', status.lines),
    one('gauge', 'connections', 'Connections on the HTTP port.', status.connections),
    one('gauge', 'pipes_open', 'Pipes that wait for an end or carry bytes.', status.pipesOpen),
    one('gauge', 'pipes_joined', 'Pipes that carry bytes.', status.pipesJoined),
    one(
      'gauge',
      'remembered_entries',
      'Removals, and what roots signed anew, of admitted networks.',
      status.remembered,
    ),
    one('gauge', 'guests', 'Guests that connected agents expect.', status.guests),
    one('gauge', 'throttled', 'Directions of pipes that wait for their rate.', status.throttled),
    one('counter', 'pipe_bytes_total', 'Bytes carried through pipes.', status.pipeBytes),
    one('counter', 'pipes_total', 'Pipes joined.', counters.pipesJoined),
    one('counter', 'calls_total', 'Calls asked for.', counters.calls),
    one('counter', 'handshakes_total', 'Lines opened.', counters.handshakes),
    one('counter', 'lines_replaced_total', 'Lines replaced by a newer one of the same peer.', counters.replaced),
    one('counter', 'clones_total', 'Refused because another process with the same key was first.', counters.clones),
    one('counter', 'stun_answers_total', 'STUN requests answered.', counters.stunAnswers),
    one('counter', 'reach_checks_total', 'Ports looked at from outside for their agents.', counters.reachChecks),
    one('counter', 'statements_total', 'Entries passed on to the members of a network.', counters.statements),
    {
      name: 'culvert_relay_refusals_total',
      help: 'What was turned away, by reason.',
      type: 'counter',
      samples: [...counters.refusals].map(([reason, value]) => ({ labels: { reason }, value })),
    },
    {
      name: 'culvert_relay_loop_lag_seconds',
      help: 'Event loop lag since the last reading.',
      type: 'gauge',
      samples: Object.entries(status.loopLagS).map(([quantile, value]) => ({ labels: { quantile }, value })),
    },
    one('counter', 'uptime_seconds', 'Time since the start.', status.uptimeS),
    one('gauge', 'resident_bytes', 'Resident memory.', status.residentBytes),
    one('counter', 'cpu_seconds_total', 'CPU time used.', status.cpuS),
  ]
}
