import { join } from 'node:path'
import { RELAY_ADDRESSES } from './address-plan.ts'
import { endFault, startFault } from './fault-rules.ts'
import { LabHost } from './lab-host.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'
import { configure } from './namespace.ts'

/** The public host in the middle: nothing runs there by itself, all its ports are free. */
export class RelayHost extends LabHost {
  /** On `eth0`, two of each family; inside the lab `relay.test`, `relay2.test` and `relay6.test`. */
  readonly addresses = { v4: RELAY_ADDRESSES.v4, v6: RELAY_ADDRESSES.v6 }
  readonly #fault: (rules: string) => Promise<void>

  constructor(namespaceOf: (name: string) => string, processes: ProcessTable) {
    super('relay', namespaceOf('relay'), processes)
    this.#fault = rules => configure(processes, namespaceOf('internet'), { rules })
  }

  /** All packets to and from the relay host vanish. */
  cut(): Promise<void> {
    return this.#fault(startFault('cut', 'relay'))
  }

  restore(): Promise<void> {
    return this.#fault(endFault('cut', 'relay'))
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
