import { createHmac } from 'node:crypto'
import { deadline } from '../../../common/platform/clock.ts'
import { sameBytes } from '../../../common/wire/bytes.ts'
import { isSamePcpEpoch } from '../gateway-epoch.ts'
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
  readonly #talk: GatewayTalk

  /** `secret` makes the nonces: the same after a restart, so that what a crash left behind is ours again. */
  constructor(ends: ControlEnds, doors: ControlDoors, secret: Uint8Array) {
    this.address = ends.gateway
    this.#ends = ends
    this.#doors = doors
    this.#secret = secret
    this.#talk = new GatewayTalk(ends, doors, isSamePcpEpoch)
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
    if (!answer) return this.#talk.silence(NO_ANSWER, signal)
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
    if (mappings.length > 0 && this.looksNext) return this.#talk.look(mappings, wish => this.map(wish, signal))
    this.#talk.passLook()
    if ((await this.announce(signal)) !== 'pcp') return 'no-answer'
    return this.#talk.takeRestart() ? 'lost' : 'kept'
  }

  /** The next check looks at the mappings themselves. */
  get looksNext(): boolean {
    return this.#talk.looksNext
  }

  doubt(): void {
    this.#talk.doubt()
  }

  /** Asks for the server's clock, which tells whether PCP is spoken there. */
  async announce(signal: AbortSignal): Promise<'pcp' | 'other-version' | undefined> {
    const read = (bytes: Buffer) => {
      const answer = readPcpAnswer(bytes)
      // RFC 6887 appendix A: a gateway that knows NAT-PMP only answers in its own version, with error 1.
      if (!answer) return readNatPmpAnswer(bytes)?.kind === 'refused' ? OTHER_VERSION : undefined
      if (answer.kind === 'map') return undefined
      if (answer.kind === 'refused' && answer.result === UNSUPP_VERSION) return OTHER_VERSION
      return { speaks: 'pcp', epochS: answer.epochS } as const
    }
    return (await this.#talk.ask(pcpAnnounceRequest(this.#ends.client), read, signal))?.speaks
  }

  #askMap(wish: Omit<PcpMap, 'nonce'>, signal: AbortSignal) {
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
    return this.#talk.ask(request, read, signal)
  }

  /** §11.2: what proves that a mapping is ours to change; nobody off the path may guess it. */
  #nonce({ protocol, internalPort }: Pick<PcpMap, 'protocol' | 'internalPort'>): Uint8Array {
    const text = `${this.#ends.client} ${protocol} ${internalPort}`
    return Uint8Array.from(createHmac('sha256', this.#secret).update(text).digest().subarray(0, PCP_NONCE_BYTES))
  }
}

const OTHER_VERSION = { speaks: 'other-version', epochS: undefined } as const
const NO_ANSWER = 'the router no longer answers PCP; if that lasts, restart it'
/** RFC 6887 §7.4. */
const UNSUPP_VERSION = 1
const CANNOT_PROVIDE_EXTERNAL = 11

function refusal({ protocol, externalPort }: MappingWish, code: number, lifetimeS: number): MappingRefusal {
  const message = describeControlFault('pcp', `${protocol.toUpperCase()} port ${externalPort}`, code)
  return { kind: 'refused', message, againS: Math.min(lifetimeS, MAX_LEASE_S) }
}
