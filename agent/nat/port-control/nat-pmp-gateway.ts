import { isSameNatPmpEpoch } from '../gateway-epoch.ts'
import type {
  ExternalAnswer,
  MapOutcome,
  MappingGateway,
  MappingRefusal,
  MappingWish,
  PortMapping,
} from '../port-mapper.ts'
import { describeControlFault } from './control-fault.ts'
import type { ControlDoors, ControlEnds } from './control-port.ts'
import { GatewayTalk } from './gateway-talk.ts'
import { type NatPmpAnswer, natPmpAddressRequest, natPmpMappingRequest, readNatPmpAnswer } from './nat-pmp-message.ts'

/** A gateway that speaks NAT-PMP (RFC 6886). */
export class NatPmpGateway implements MappingGateway {
  readonly protocol = 'nat-pmp'
  readonly address: string
  readonly checkCost = 'datagram'
  readonly #talk: GatewayTalk
  #external: string | undefined

  constructor(ends: ControlEnds, doors: ControlDoors) {
    this.address = ends.gateway
    this.#talk = new GatewayTalk(ends, doors, isSameNatPmpEpoch)
  }

  async externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    const answer = await this.#ask(natPmpAddressRequest(), signal, read =>
      read.kind === 'address' || (read.kind === 'refused' && read.opcode === 0) ? read : undefined,
    )
    if (!answer) return this.#talk.silence(NO_ANSWER, signal)
    if (answer.kind === 'refused') return refusal('to tell its outside address', answer.result)
    if (answer.address === '0.0.0.0') return refusal('to tell its outside address', NETWORK_FAILURE)
    this.#external = answer.address
    return { kind: 'address', address: answer.address }
  }

  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const { protocol, internalPort, externalPort, leaseS } = wish
    const request = natPmpMappingRequest(protocol, internalPort, externalPort, leaseS)
    const answer = await this.#askMapping(request, protocol, internalPort, signal)
    if (!answer) return this.#talk.silence(NO_ANSWER, signal)
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
    if (this.#talk.takeRestart() || this.#external !== before) return 'lost'
    if (this.#talk.looksNext) return this.#talk.look(mappings, wish => this.map(wish, signal))
    this.#talk.passLook()
    return 'kept'
  }

  doubt(): void {
    this.#talk.doubt()
  }

  #askMapping(request: Uint8Array, protocol: 'tcp' | 'udp', internalPort: number, signal: AbortSignal) {
    return this.#ask(request, signal, read => {
      const ours = read.kind === 'mapping' && read.protocol === protocol && read.internalPort === internalPort
      return ours || (read.kind === 'refused' && read.opcode === request[1]) ? read : undefined
    })
  }

  #ask<T extends NatPmpAnswer>(
    request: Uint8Array,
    signal: AbortSignal,
    take: (answer: NatPmpAnswer) => T | undefined,
  ): Promise<T | undefined> {
    const read = (bytes: Buffer) => {
      const answer = readNatPmpAnswer(bytes)
      return answer && take(answer)
    }
    return this.#talk.ask(request, read, signal)
  }
}

const NO_ANSWER = 'the router no longer answers NAT-PMP; if that lasts, restart it'
/** RFC 6886 §3.5. */
const NETWORK_FAILURE = 3
const FULL = 4

function refusal(what: string, code: number): MappingRefusal {
  return { kind: 'refused', message: describeControlFault('nat-pmp', what, code) }
}
