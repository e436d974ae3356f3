import { type EpochReading, EpochWatch } from '../gateway-epoch.ts'
import {
  CHECKS_PER_LOOK,
  MAPPING_ABORTED,
  type MapOutcome,
  type MappingRefusal,
  type MappingWish,
  type PortMapping,
} from '../port-mapper.ts'
import { askGateway, type ControlDoors, type ControlEnds } from './control-port.ts'

/** What gateways of both protocols share: questions at one port, a clock that tells of restarts, and now and then a look. */
export class GatewayTalk {
  readonly #ends: ControlEnds
  readonly #doors: ControlDoors
  readonly #epoch: EpochWatch
  #checksUntilLook = CHECKS_PER_LOOK - 1

  constructor(
    ends: ControlEnds,
    doors: ControlDoors,
    isSameEpoch: (before: EpochReading, after: EpochReading) => boolean,
  ) {
    this.#ends = ends
    this.#doors = doors
    this.#epoch = new EpochWatch(isSameEpoch)
  }

  /** The answer that `read` takes; undefined when none came. What clock it shows is noted. */
  async ask<T extends { readonly epochS: number | undefined }>(
    request: Uint8Array,
    read: (answer: Buffer) => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const answer = await askGateway(this.#ends, request, read, this.#doors, signal)
    if (answer?.epochS !== undefined) this.#epoch.read({ epochS: answer.epochS, at: this.#doors.clock.now() })
    return answer
  }

  /** What no answer means for who asked. */
  silence(message: string, signal: AbortSignal): MappingRefusal {
    return signal.aborted ? MAPPING_ABORTED : { kind: 'no-answer', message }
  }

  /** The next check looks at the mappings themselves. */
  get looksNext(): boolean {
    return this.#checksUntilLook === 0
  }

  doubt(): void {
    this.#checksUntilLook = 0
  }

  /** A check that asked for the clock alone. */
  passLook(): void {
    this.#checksUntilLook = Math.max(0, this.#checksUntilLook - 1)
  }

  /** Whether the gateway began anew since this was last asked. */
  takeRestart(): boolean {
    return this.#epoch.takeRestart()
  }

  /** Renews every mapping, so that what was lost is there again. */
  async look(
    mappings: readonly PortMapping[],
    renew: (wish: MappingWish) => Promise<MapOutcome>,
  ): Promise<'kept' | 'lost' | 'no-answer'> {
    for (const mapping of mappings) {
      const outcome = await renew({ ...mapping, description: '' })
      if (outcome.kind === 'no-answer') return 'no-answer'
      if (outcome.kind !== 'granted') return 'lost'
      const { externalPort, externalAddress } = outcome.mapping
      if (externalPort !== mapping.externalPort || externalAddress !== mapping.externalAddress) return 'lost'
    }
    this.#checksUntilLook = CHECKS_PER_LOOK - 1
    return this.takeRestart() ? 'lost' : 'kept'
  }
}
