/** Every delay of the relay, in one place. Tests shorten them. */
export interface RelayTiming {
  /** A line that has said no valid hello by then is closed. */
  readonly helloMs: number
  /** How long the line of a peer has to show that it lives when another process comes with the same key. */
  readonly contestMs: number
  /** An agent pings when its line was silent for this long; ten bytes every 25 s are under 1 MB a day, all in. */
  readonly keepAliveMs: number
  /** Both ends of a pipe attach within this time of the call, or the pipe is closed. */
  readonly ticketLifeMs: number
  /** How often pipes are looked at; longer than peers let a path be silent, which is 25 s. */
  readonly pipeCheckMs: number
  /** Time that pipes get to finish when the relay goes down. */
  readonly drainMs: number
  /** The previous process may still hold the port after a restart. */
  readonly bindRetryMs: number
  /** How often the TLS files are looked at. */
  readonly tlsPollMs: number
  /** How often the addresses of this machine are looked at. */
  readonly addressPollMs: number
  /** A TCP STUN connection, busy or not, ends after this time. */
  readonly stunTcpMs: number
  /** Request line and headers have to be complete by then. */
  readonly headersMs: number
}

export const RELAY_TIMING: RelayTiming = {
  helloMs: 10_000,
  contestMs: 2_000,
  keepAliveMs: 25_000,
  ticketLifeMs: 10_000,
  pipeCheckMs: 30_000,
  drainMs: 2_000,
  bindRetryMs: 5_000,
  tlsPollMs: 5_000,
  addressPollMs: 5_000,
  stunTcpMs: 60_000,
  headersMs: 10_000,
}
