import { readFile } from 'node:fs/promises'
import { guarded } from '../guard.ts'
import { type ExecOptions, exec } from '../lab/command.ts'
import type { LabProcess, ProcessTable } from '../lab/lab-process.ts'
import type { MemoryGroup } from './memory-group.ts'

export interface BootOptions {
  /** The folder that holds its system, which changes as it runs. */
  readonly root: string
  /** Of `ip netns`: the network that it sees. */
  readonly namespace: string
  /** What it has to do with. */
  readonly memory?: MemoryGroup | undefined
}

let machines = 0

/** A Debian in a container, with systemd as its first process: all of a machine but kernel and boot loader. */
export class BootedMachine implements AsyncDisposable {
  readonly root: string
  readonly #processes: ProcessTable
  readonly #nspawn: LabProcess
  #leader = ''

  private constructor(root: string, processes: ProcessTable, nspawn: LabProcess) {
    this.root = root
    this.#processes = processes
    this.#nspawn = nspawn
  }

  /** Resolves when everything that starts at boot has started. */
  static async boot(processes: ProcessTable, { root, namespace, memory }: BootOptions): Promise<BootedMachine> {
    const args = [
      '--quiet',
      '--keep-unit',
      '--register=no',
      '--boot',
      '--console=pipe',
      `--machine=culvert-${process.pid}-${machines++}`,
      `--network-namespace-path=/run/netns/${namespace}`,
      `--directory=${root}`,
    ]
    const nspawn = processes.start(...(memory?.entering('systemd-nspawn', args) ?? (['systemd-nspawn', args] as const)))
    const machine = new BootedMachine(root, processes, nspawn)
    await guarded(machine.#booted(), () => `${nspawn.stdout}${nspawn.stderr}`)
    return machine
  }

  /** Runs a line of shell as root to its end; rejects with what it wrote when it fails. */
  async run(line: string, options: ExecOptions = {}): Promise<string> {
    const result = await this.tryRun(line, options)
    if (result.code !== 0) throw new Error(`${line}\nended with ${result.code}:\n${result.stdout}${result.stderr}`)
    return result.stdout
  }

  tryRun(line: string, options: ExecOptions = {}) {
    return exec(this.#processes, 'nsenter', this.#entering(line), options)
  }

  /** Starts what a line of shell says, and does not wait for its end. */
  start(line: string): LabProcess {
    return this.#processes.start('nsenter', this.#entering(line))
  }

  /** A property of a unit, as `systemctl show` names it. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run(`systemctl show --property=${property} --value ${unit}`)).trim()
  }

  /** Looks until a unit's properties are so; rejects with the journal. */
  async until(unit: string, fits: (pid: number, state: string) => boolean): Promise<number> {
    const look = async () => {
      for (;;) {
        const [pid, state] = (await this.run(`systemctl show -P MainPID -P ActiveState ${unit}`)).split('\n')
        if (fits(Number(pid), state ?? '')) return Number(pid)
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
    let journal = ''
    const watch = setInterval(() => void this.journal(unit).then(text => (journal = text)), 20_000)
    try {
      return await guarded(look(), () => journal)
    } finally {
      clearInterval(watch)
    }
  }

  async journal(unit: string): Promise<string> {
    return (await this.tryRun(`journalctl --sync; journalctl --no-pager --lines=60 --unit=${unit}`)).stdout
  }

  /** As when somebody pulls the plug. */
  async [Symbol.asyncDispose](): Promise<void> {
    // All others go with its first process, which outlives a killed nspawn.
    if (this.#leader !== '' && (await this.#firstProcess()) === this.#leader)
      process.kill(Number(this.#leader), 'SIGKILL')
    await this.#nspawn.stop('SIGKILL', 10_000)
  }

  #entering(line: string): readonly string[] {
    const environment = ['env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root']
    return ['-t', this.#leader, '-a', '--', ...environment, 'sh', '-c', line]
  }

  async #booted(): Promise<void> {
    for (;;) {
      this.#leader = await this.#firstProcess()
      if (this.#leader !== '') {
        const { stdout } = await this.tryRun('systemctl is-system-running --wait')
        if (/^(?:running|degraded)/.test(stdout)) return
      }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  /** Of the container: the child of the program that started it. */
  async #firstProcess(): Promise<string> {
    const { pid } = this.#nspawn
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '')
    return children.trim().split(' ').at(-1) ?? ''
  }
}
