import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NatReport } from '../../agent/nat/nat.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { guarded } from '../guard.ts'
import type { RouterLab } from './router-lab.ts'

const PROGRAM = fileURLToPath(new URL('nat-on-host.ts', import.meta.url))

export interface Said {
  readonly report?: NatReport
  readonly candidates?: Candidate[]
  readonly log?: string
  readonly closedMs?: number
}

/** The agent's view of the NAT on a host of the lab. */
export class NatHost {
  readonly child: ChildProcess
  readonly #said: Said[] = []
  readonly #waiting = new Set<() => void>()

  constructor(lab: RouterLab, host: 'a' | 'b', tcpPort: number, udpPort: number) {
    this.child = lab.run(host, [process.execPath, PROGRAM, String(tcpPort), String(udpPort)])
    createInterface({ input: this.child.stdout ?? process.stdin }).on('line', line => {
      this.#said.push(JSON.parse(line))
      for (const look of this.#waiting) look()
    })
  }

  /** The first document, said or to come, that the test is waiting for; those before it are forgotten. */
  until(wanted: (said: Said) => boolean): Promise<Said> {
    const found = new Promise<Said>(resolve => {
      const look = () => {
        const at = this.#said.findIndex(wanted)
        const said = this.#said[at]
        if (!said) return
        this.#said.splice(0, at + 1)
        this.#waiting.delete(look)
        resolve(said)
      }
      this.#waiting.add(look)
      look()
    })
    return guarded(found, () => this.#said.map(said => JSON.stringify(said)).join('\n'))
  }

  mapped(): Promise<Said> {
    return this.until(({ report }) => Boolean(report?.portMapping.tcp && report.portMapping.udp))
  }

  async close(): Promise<number> {
    this.child.stdin?.write('\n')
    return (await this.until(({ closedMs }) => closedMs !== undefined)).closedMs ?? Number.NaN
  }
}
