import { type ExecOptions, exec } from './command.ts'
import type { ExecResult, LabProcess, ProcessTable, SpawnOptions } from './lab-process.ts'
import { type Configuration, configure } from './namespace.ts'

/** A machine of the lab, in which programs run: a site's host, a router, or the relay host. */
export class LabHost {
  readonly name: string
  /** For use by hand: `ip netns exec NAMESPACE COMMAND`. */
  readonly namespace: string
  readonly #processes: ProcessTable

  constructor(name: string, namespace: string, processes: ProcessTable) {
    this.name = name
    this.namespace = namespace
    this.#processes = processes
  }

  /** Starts a program that the lab ends, if it has not ended by then. Its pid is the program's own. */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): LabProcess {
    return this.#processes.start('ip', ['netns', 'exec', this.namespace, command, ...args], options)
  }

  /** Has TCP find out by itself that large packets vanish (RFC 4821), as Linux does only where it is told to. */
  probeMtu(): Promise<void> {
    return configure(this.#processes, this.namespace, { settings: { 'net/ipv4/tcp_mtu_probing': 1 } })
  }

  /** Runs a program to its end: a non-zero code is a result; more than two minutes (`timeoutMs`) is an error. */
  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<ExecResult> {
    return exec(this.#processes, 'ip', ['netns', 'exec', this.namespace, command, ...args], options)
  }
}

export interface HostAddresses {
  /** The host's own address; null without IPv4. */
  readonly v4: string | null
  readonly v6: string | null
  /** Its router's outside address, which is 100.64.x.y behind a carrier. */
  readonly outside4: string | null
  /** The address that the internet sees. */
  readonly public4: string | null
}

/** What a host needs to know of its site, as it is now. */
export interface HostSurroundings {
  readonly addresses: HostAddresses
  /** ip(8) lines that bring the interface up. */
  readonly wiring: readonly string[]
}

/** A host on a site's LAN, with the interface `eth0`. */
export class SiteHost extends LabHost {
  readonly #configure: (what: Configuration) => Promise<void>
  #surroundings: () => HostSurroundings

  constructor(name: string, namespace: string, processes: ProcessTable, surroundings: () => HostSurroundings) {
    super(name, namespace, processes)
    this.#configure = what => configure(processes, namespace, what)
    this.#surroundings = surroundings
  }

  /** As they are now: they change with `newAddress`. */
  get addresses(): HostAddresses {
    return this.#surroundings().addresses
  }

  /** Takes the host's own interface down; its routes are gone. */
  ifDown(): Promise<void> {
    return this.#configure({ interfaces: ['link set eth0 down'] })
  }

  /** Brings it up again, with addresses and routes. */
  ifUp(): Promise<void> {
    return this.#configure({ interfaces: this.#surroundings().wiring })
  }

  /** The cable is pulled: the interface is gone. */
  unplug(): Promise<void> {
    return this.#configure({ interfaces: ['link del eth0'] })
  }

  /** A new cable leads elsewhere. */
  plugIn(surroundings: () => HostSurroundings): Promise<void> {
    this.#surroundings = surroundings
    return this.ifUp()
  }

  /** What the lab does once with a fresh namespace. */
  setUp(): Promise<void> {
    return this.#configure({ plain: true, interfaces: this.#surroundings().wiring })
  }
}
