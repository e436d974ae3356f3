import { readFile } from 'node:fs/promises'
import { compileHelper } from './c-helper.ts'
import { LabError } from './lab-error.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'

export interface CapturedPackets {
  /** A pcap file, which lives as long as the lab. */
  readonly file: string
  readonly packets: number
  /** Frames that came faster than they could be kept; a proof of absence needs 0. */
  readonly dropped: number
  /** The whole file: all frames one after the other, each behind 16 bytes of pcap. */
  readonly bytes: Buffer
}

/** A running capture of all frames on one interface, in and out. */
export class PacketCapture {
  readonly #file: string
  readonly #process: LabProcess

  private constructor(file: string, process: LabProcess) {
    this.#file = file
    this.#process = process
  }

  /** Settles when no later frame can be missed. */
  static async start(processes: ProcessTable, namespace: string, device: string, file: string): Promise<PacketCapture> {
    const program = await compileHelper(processes, 'packet-capture')
    const started = processes.start('ip', ['netns', 'exec', namespace, program, device, file])
    await started.waitForOutput(/ready/)
    return new PacketCapture(file, started)
  }

  /**
   * Ends the capture. A search for plaintext in `bytes` sees each frame whole, but data that streams across frames
   * only in parts: send a marker again and again, short enough that every full frame holds one.
   */
  async stop(): Promise<CapturedPackets> {
    this.#process.child.stdin.end()
    const { stdout, stderr, code } = await this.#process.exited
    const [, packets, dropped] = /^(\d+) (\d+)$/m.exec(stdout) ?? []
    if (code !== 0 || packets === undefined) {
      throw new LabError('command-failed', `the capture into ${this.#file} failed (exit ${code}): ${stderr}`)
    }
    const bytes = await readFile(this.#file)
    return { file: this.#file, packets: Number(packets), dropped: Number(dropped), bytes }
  }
}
