import { createHmac } from 'node:crypto'
import { deadline } from '../../../common/platform/clock.ts'
import { sameBytes } from '../../../common/wire/bytes.ts'
import { EpochWatch, isSamePcpEpoch } from '../gateway-epoch.ts'
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
import { NatPmpGateway } from './nat-pmp-gateway.ts'
import { readNatPmpAnswer } from './nat-pmp-message.ts'
import { PCP_NONCE_BYTES, type PcpMap, pcpAnnounceRequest, pcpMapRequest, readPcpAnswer } from './pcp-message.ts'

const MAP = 1
/** Ours: the same router has just answered PCP, so a second question is answered as quickly or never. */
const ADDRESS_MS = 300
/** RFC 6887 §15: a lifetime beyond a day is to be taken for one. */
const MAX_LEASE_S = 86_400

/**
 * A gateway that speaks PCP (RFC 6887): maps ports of one IPv4 address, or opens a firewall for one IPv6 address. The
 * outside address comes with each mapping.
 */
export class PcpGateway implements MappingGateway {
  readonly protocol = 'pcp'
  readonly address: string
  readonly checkCost = 'datagram'
  readonly #ends: ControlEnds
  readonly #doors: ControlDoors
  readonly #secret: Uint8Array
  readonly #epoch = new EpochWatch(isSamePcpEpoch)
  #checksUntilLook = CHECKS_PER_LOOK - 1

  /** `secret` makes the nonces: the same after a restart, so that what a crash left behind is ours again. */
  constructor(ends: ControlEnds, doors: ControlDoors, secret: Uint8Array) {
    this.address = ends.gateway
    this.#ends = ends
    this.#doors = doors
    this.#secret = secret
  }

  /** PCP has no question for it alone; the older protocol has, and most routers speak both. */
  async externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    if (this.#ends.client.includes(':')) return { kind: 'untold' }
    const limit = deadline(this.#doors.clock, ADDRESS_MS, signal)
    const answer = await new NatPmpGateway(this.#ends, this.#doors).externalAddress(limit.signal)
    limit.done()
    return answer.kind === 'address' || answer.kind === 'refused' ? answer : { kind: 'untold' }
  }

  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const { protocol, internalPort, externalPort, leaseS } = wish
    const answer = await this.#askMap({ protocol, internalPort, externalPort, lifetimeS: leaseS }, signal)
    if (!answer) {
      return signal.aborted ? MAPPING_ABORTED : { kind: 'no-answer', message: NO_ANSWER }
    }
    if (answer.kind === 'refused') return refusal(wish, answer.result, answer.lifetimeS)
    if (answer.externalPort === 0 || answer.lifetimeS === 0) return refusal(wish, CANNOT_PROVIDE_EXTERNAL, 0)
    const mapping = {
      protocol,
      internalPort,
      externalPort: answer.externalPort,
      externalAddress: answer.externalAddress,
      leaseS: Math.min(answer.lifetimeS, MAX_LEASE_S),
    }
    return { kind: 'granted', mapping }
  }

  async unmap({ protocol, internalPort }: PortMapping, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#askMap({ protocol, internalPort, externalPort: 0, lifetimeS: 0 }, signal)
    return answer?.kind === 'map'
  }

  /** Asks for the router's clock; a look renews, so that what was lost is there again. */
  async check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'> {
    if (mappings.length === 0 || !this.looksNext) {
      this.#checksUntilLook = Math.max(0, this.#checksUntilLook - 1)
      if ((await this.announce(signal)) !== 'pcp') return 'no-answer'
      return this.#epoch.takeRestart() ? 'lost' : 'kept'
    }
    for (const mapping of mappings) {
      const outcome = await this.map({ ...mapping, description: '' }, signal)
      if (outcome.kind === 'no-answer') return 'no-answer'
      const same =
        outcome.kind === 'granted' &&
        outcome.mapping.externalPort === mapping.externalPort &&
        outcome.mapping.externalAddress === mapping.externalAddress
      if (!same) return 'lost'
    }
    this.#checksUntilLook = CHECKS_PER_LOOK - 1
    return this.#epoch.takeRestart() ? 'lost' : 'kept'
  }

  /** The next check looks at the mappings themselves. */
  get looksNext(): boolean {
    return this.#checksUntilLook === 0
  }

  doubt(): void {
    this.#checksUntilLook = 0
  }

  /** Asks for the server's clock, which tells whether PCP is spoken there. */
  announce(signal: AbortSignal): Promise<'pcp' | 'other-version' | undefined> {
    const read = (bytes: Buffer) => {
      const answer = readPcpAnswer(bytes)
      // RFC 6887 appendix A: a gateway that knows NAT-PMP only answers in its own version, with error 1.
      if (!answer) return readNatPmpAnswer(bytes)?.kind === 'refused' ? 'other-version' : undefined
      if (answer.kind === 'map') return undefined
      if (answer.kind === 'refused' && answer.result === UNSUPP_VERSION) return 'other-version'
      this.#epoch.read({ epochS: answer.epochS, at: this.#doors.clock.now() })
      return 'pcp'
    }
    return askGateway<'pcp' | 'other-version'>(
      this.#ends,
      pcpAnnounceRequest(this.#ends.client),
      read,
      this.#doors,
      signal,
    )
  }

  async #askMap(wish: Omit<PcpMap, 'nonce'>, signal: AbortSignal) {
    const nonce = this.#nonce(wish)
    const read = (bytes: Buffer) => {
      const answer = readPcpAnswer(bytes)
      if (!answer || answer.kind === 'announce') return undefined
      // §11.4: the answer to another request, or to somebody else.
      if (answer.nonce && !sameBytes(answer.nonce, nonce)) return undefined
      if (answer.kind === 'refused') return answer.opcode === MAP ? answer : undefined
      return answer.protocol === wish.protocol && answer.internalPort === wish.internalPort ? answer : undefined
    }
    const request = pcpMapRequest(this.#ends.client, { ...wish, nonce })
    const answer = await askGateway(this.#ends, request, read, this.#doors, signal)
    if (answer) this.#epoch.read({ epochS: answer.epochS, at: this.#doors.clock.now() })
    return answer
  }

  /** §11.2: what proves that a mapping is ours to change; nobody off the path may guess it. */
  #nonce({ protocol, internalPort }: Pick<PcpMap, 'protocol' | 'internalPort'>): Uint8Array {
    const text = `${this.#ends.client} ${protocol} ${internalPort}`
    return Uint8Array.from(createHmac('sha256', this.#secret).update(text).digest().subarray(0, PCP_NONCE_BYTES))
  }
}

const NO_ANSWER = 'the router no longer answers PCP; if that lasts, restart it'
/** RFC 6887 §7.4. */
const UNSUPP_VERSION = 1
const CANNOT_PROVIDE_EXTERNAL = 11

function refusal({ protocol, externalPort }: MappingWish, code: number, lifetimeS: number): MappingRefusal {
  const message = describeControlFault('pcp', `${protocol.toUpperCase()} port ${externalPort}`, code)
  return { kind: 'refused', message, againS: Math.min(lifetimeS, MAX_LEASE_S) }
}
