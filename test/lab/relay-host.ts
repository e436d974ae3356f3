import { join } from 'node:path'
import { RELAY_ADDRESSES } from './address-plan.ts'
import { endFault, startFault } from './fault-rules.ts'
import { LabHost } from './lab-host.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'
import { shaping } from './link-quality.ts'
import { type Configuration, configure } from './namespace.ts'

/** The public host in the middle: nothing runs there by itself, all its ports are free. */
export class RelayHost extends LabHost {
  /** On `eth0`, two of each family; inside the lab `relay.test`, `relay2.test` and `relay6.test`. */
  readonly addresses = { v4: RELAY_ADDRESSES.v4, v6: RELAY_ADDRESSES.v6 }
  readonly #own: (what: Configuration) => Promise<void>
  readonly #internet: (what: Configuration) => Promise<void>

  constructor(namespaceOf: (name: string) => string, processes: ProcessTable) {
    super('relay', namespaceOf('relay'), processes)
    this.#own = what => configure(processes, this.namespace, what)
    this.#internet = what => configure(processes, namespaceOf('internet'), what)
  }

  /** All packets to and from the relay host vanish. */
  cut(): Promise<void> {
    return this.#internet({ rules: startFault('cut', 'relay') })
  }

  restore(): Promise<void> {
    return this.#internet({ rules: endFault('cut', 'relay') })
  }

  /** Of its line, each way; null: as fast as the machine. */
  async setRate(rateMbit: number | null): Promise<void> {
    await this.#internet({ shell: shaping('relay', rateMbit) })
    await this.#own({ shell: shaping('eth0', rateMbit) })
  }

  /** Runs the lab's RFC 5780 responder on two UDP and TCP ports (3478, 3479) of every address; settles when it listens. */
  async startStunResponder(ports: readonly [number, number] = [3478, 3479]): Promise<LabProcess> {
    const { v4, v6 } = this.addresses
    const script = join(import.meta.dirname, 'stun-responder.ts')
    const responder = this.spawn(process.execPath, [script, ports.join(','), v4.join(','), v6.join(',')])
    await responder.waitForOutput(/ready/)
    return responder
  }
}
