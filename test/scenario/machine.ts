import { type ExecOptions, exec } from '../lab/command.ts'
import type { LabHost } from '../lab/lab-host.ts'
import { ProcessTable } from '../lab/lab-process.ts'

/** Where the programs of a scenario run: a host of the lab, or this machine itself. */
export type Machine = Pick<LabHost, 'spawn' | 'exec'>

/** This machine, for scenarios on loopback; what it started ends with it. */
export class ThisMachine implements Machine, AsyncDisposable {
  readonly #processes = new ProcessTable()

  spawn(...[command, args = [], options = {}]: Parameters<Machine['spawn']>) {
    return this.#processes.start(command, args, options)
  }

  exec(command: string, args: readonly string[] = [], options: ExecOptions = {}) {
    return exec(this.#processes, command, args, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.stopAll()
  }
}
