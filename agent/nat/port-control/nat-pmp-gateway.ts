import { EpochWatch, isSameNatPmpEpoch } from '../gateway-epoch.ts'
import {
  CHECKS_PER_LOOK,
  type ExternalAnswer,
  MAPPING_ABORTED,
  type MapOutcome,
  type MappingGateway,
  type MappingRefusal,
  type MappingWish,
  type PortMapping,
} from '../port-mapper.ts'
import { describeControlFault } from './control-fault.ts'
import { askGateway, type ControlDoors, type ControlEnds } from './control-port.ts'
import { type NatPmpAnswer, natPmpAddressRequest, natPmpMappingRequest, readNatPmpAnswer } from './nat-pmp-message.ts'

/** A gateway that speaks NAT-PMP (RFC 6886). */
export class NatPmpGateway implements MappingGateway {
  readonly protocol = 'nat-pmp'
  readonly address: string
  readonly checkCost = 'datagram'
  readonly #ends: ControlEnds
  readonly #doors: ControlDoors
  readonly #epoch = new EpochWatch(isSameNatPmpEpoch)
  #external: string | undefined
  #checksUntilLook = CHECKS_PER_LOOK - 1

  constructor(ends: ControlEnds, doors: ControlDoors) {
    this.address = ends.gateway
    this.#ends = ends
    this.#doors = doors
  }

  async externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    const answer = await this.#ask(natPmpAddressRequest(), signal, read =>
      read.kind === 'address' || (read.kind === 'refused' && read.opcode === 0) ? read : undefined,
    )
    if (!answer) return this.#silence(signal)
    if (answer.kind === 'refused') return refusal('to tell its outside address', answer.result)
    if (answer.address === '0.0.0.0') return refusal('to tell its outside address', NETWORK_FAILURE)
    this.#external = answer.address
    return { kind: 'address', address: answer.address }
  }

  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const { protocol, internalPort, externalPort, leaseS } = wish
    const request = natPmpMappingRequest(protocol, internalPort, externalPort, leaseS)
    const answer = await this.#askMapping(request, protocol, internalPort, signal)
    if (!answer) return this.#silence(signal)
    if (answer.kind === 'refused') return refusal(`${protocol.toUpperCase()} port ${externalPort}`, answer.result)
    if (answer.externalPort === 0 || answer.lifetimeS === 0) return refusal(`${protocol} port ${externalPort}`, FULL)
    const granted = { protocol, internalPort, externalPort: answer.externalPort, leaseS: answer.lifetimeS }
    return { kind: 'granted', mapping: granted }
  }

  async unmap({ protocol, internalPort }: PortMapping, signal: AbortSignal): Promise<boolean> {
    const request = natPmpMappingRequest(protocol, internalPort, 0, 0)
    return (await this.#askMapping(request, protocol, internalPort, signal))?.kind === 'mapping'
  }

  /** Asks for the address and with it the router's clock; a look renews, so that what was lost is there again. */
  async check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'> {
    const before = this.#external
    const external = await this.externalAddress(signal)
    if (external.kind === 'no-answer') return 'no-answer'
    if (this.#epoch.takeRestart() || this.#external !== before) return 'lost'
    if (this.#checksUntilLook > 0) {
      this.#checksUntilLook--
      return 'kept'
    }
    for (const mapping of mappings) {
      const outcome = await this.map({ ...mapping, description: '' }, signal)
      if (outcome.kind === 'no-answer') return 'no-answer'
      if (outcome.kind !== 'granted' || outcome.mapping.externalPort !== mapping.externalPort) return 'lost'
    }
    this.#checksUntilLook = CHECKS_PER_LOOK - 1
    return this.#epoch.takeRestart() ? 'lost' : 'kept'
  }

  doubt(): void {
    this.#checksUntilLook = 0
  }

  #askMapping(request: Uint8Array, protocol: 'tcp' | 'udp', internalPort: number, signal: AbortSignal) {
    return this.#ask(request, signal, read => {
      const ours = read.kind === 'mapping' && read.protocol === protocol && read.internalPort === internalPort
      return ours || (read.kind === 'refused' && read.opcode === request[1]) ? read : undefined
    })
  }

  async #ask<T extends NatPmpAnswer>(
    request: Uint8Array,
    signal: AbortSignal,
    take: (answer: NatPmpAnswer) => T | undefined,
  ): Promise<T | undefined> {
    const read = (bytes: Buffer) => {
      const answer = readNatPmpAnswer(bytes)
      return answer && take(answer)
    }
    const answer = await askGateway(this.#ends, request, read, this.#doors, signal)
    if (answer?.epochS !== undefined) this.#epoch.read({ epochS: answer.epochS, at: this.#doors.clock.now() })
    return answer
  }

  #silence(signal: AbortSignal): MappingRefusal {
    return signal.aborted ? MAPPING_ABORTED : { kind: 'no-answer', message: NO_ANSWER }
  }
}

const NO_ANSWER = 'the router no longer answers NAT-PMP; if that lasts, restart it'
/** RFC 6886 §3.5. */
const NETWORK_FAILURE = 3
const FULL = 4

function refusal(what: string, code: number): MappingRefusal {
  return { kind: 'refused', message: describeControlFault('nat-pmp', what, code) }
}
