import type { SitePlan } from './address-plan.ts'
import { compileHelper } from './c-helper.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'
import { emulatorLine, type LinkQuality, linkQuality, shaping, wantsEmulation } from './link-quality.ts'
import { configure } from './namespace.ts'
import { lineDevice } from './wiring.ts'

/** The two ends of a site's line: namespace names. */
export interface LineEnds {
  readonly router: string
  readonly provider: string
}

/** The cable between a site's router (`wan`) and its provider: a veth pair, or the link emulator between two TAPs. */
export class OutsideLine {
  readonly #site: SitePlan
  readonly #ends: LineEnds
  readonly #processes: ProcessTable
  #quality: LinkQuality
  #emulator: LabProcess | null = null

  constructor(site: SitePlan, ends: LineEnds, processes: ProcessTable) {
    this.#site = site
    this.#ends = ends
    this.#processes = processes
    this.#quality = linkQuality(site.nat)
  }

  get emulated(): boolean {
    return this.#emulator !== null
  }

  get quality(): LinkQuality {
    return this.#quality
  }

  /** The ip(8) line that makes a plain line; null when the line is to be an emulated one. */
  get plainLink(): string | null {
    if (wantsEmulation(this.#site.nat)) return null
    const { router, provider } = this.#ends
    return `link add wan netns ${router} type veth peer name ${lineDevice(this.#site)} netns ${provider}`
  }

  /** Makes the interfaces of an emulated line, both down and without addresses. */
  async startEmulator(): Promise<void> {
    const program = await compileHelper(this.#processes, 'link-emulator')
    const { router, provider } = this.#ends
    const emulator = this.#processes.start(program, [router, 'wan', provider, lineDevice(this.#site)])
    await emulator.waitForOutput(/ready/)
    this.#emulator = emulator
    await this.#tellEmulator(emulator)
  }

  /** Takes the plain line away and puts an emulated one in its place. */
  async becomeEmulated(): Promise<void> {
    await configure(this.#processes, this.#ends.router, { interfaces: ['link del wan'] })
    await this.startEmulator()
  }

  /** Takes the new quality; false when it needs an emulated line and this is a plain one. */
  async setQuality(quality: LinkQuality): Promise<boolean> {
    this.#quality = quality
    await this.shape()
    if (this.#emulator) {
      await this.#tellEmulator(this.#emulator)
      return true
    }
    return quality.delayMs === 0 && quality.jitterMs === 0 && quality.lossPct.up === 0 && quality.lossPct.down === 0
  }

  /** Shell lines that set the rate of one end. */
  shapeOf(end: 'router' | 'provider'): readonly string[] {
    const rate = this.#quality.rateMbit
    return end === 'router' ? shaping('wan', rate?.up ?? null) : shaping(lineDevice(this.#site), rate?.down ?? null)
  }

  async shape(): Promise<void> {
    await Promise.all([
      configure(this.#processes, this.#ends.router, { shell: this.shapeOf('router') }),
      configure(this.#processes, this.#ends.provider, { shell: this.shapeOf('provider') }),
    ])
  }

  async #tellEmulator(emulator: LabProcess): Promise<void> {
    const sets = emulator.stdout.split('\n').filter(line => line === 'set').length
    emulator.child.stdin.write(emulatorLine(this.#quality))
    await emulator.waitForOutput(new RegExp(`(set\\n){${sets + 1}}`))
  }
}
