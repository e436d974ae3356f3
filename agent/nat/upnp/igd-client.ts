import { reasonOf } from '../../../common/errors.ts'
import { type Clock, deadline } from '../../../common/platform/clock.ts'
import type { PortMapping } from '../port-mapper.ts'
import { askDevice } from './device-http.ts'
import type { IgdService } from './igd-description.ts'
import type { MappingEvent } from './mapping-step.ts'
import { parseSoapAnswer, type SoapAnswer, soapRequest } from './soap.ts'

export type IgdAnswer = SoapAnswer | { readonly kind: 'no-answer'; readonly message: string }

/** Ours: small routers write their table to flash while we wait. */
const ACTION_MS = 5000
const MAX_ANSWER_BYTES = 16 * 1024
const FIRMWARE = "update the router's firmware, or forward the ports by hand"

/** Speaks to one connection service of one gateway. */
export class IgdClient {
  readonly #clock: Clock
  readonly #service: IgdService
  readonly #localAddress: string

  constructor(clock: Clock, service: IgdService, localAddress: string) {
    this.#clock = clock
    this.#service = service
    this.#localAddress = localAddress
  }

  /** AddAnyPortMapping came with version 2. */
  get canReserve(): boolean {
    return this.#service.version >= 2 && this.#service.type.includes('WANIPConnection')
  }

  get localAddress(): string {
    return this.#localAddress
  }

  externalAddress(signal: AbortSignal): Promise<IgdAnswer> {
    return this.#ask('GetExternalIPAddress', [], signal)
  }

  async look(protocol: 'tcp' | 'udp', externalPort: number, signal: AbortSignal): Promise<MappingEvent> {
    const answer = await this.#ask('GetSpecificPortMappingEntry', entryKey(protocol, externalPort), signal)
    return eventOf(answer, values => {
      const internalPort = Number(values.get('NewInternalPort'))
      const leaseS = Number(values.get('NewLeaseDuration') ?? 0)
      return {
        name: 'entry',
        client: values.get('NewInternalClient') ?? '',
        internalPort,
        leaseS: Number.isInteger(leaseS) && leaseS > 0 ? leaseS : 0,
        description: values.get('NewPortMappingDescription') ?? '',
      }
    })
  }

  async add(mapping: PortMapping, description: string, signal: AbortSignal): Promise<MappingEvent> {
    const answer = await this.#ask('AddPortMapping', this.#entry(mapping, description), signal)
    return eventOf(answer, () => ({ name: 'added' }))
  }

  async reserve(mapping: PortMapping, description: string, signal: AbortSignal): Promise<MappingEvent> {
    const answer = await this.#ask('AddAnyPortMapping', this.#entry(mapping, description), signal)
    return eventOf(answer, values => {
      const port = Number(values.get('NewReservedPort'))
      return Number.isInteger(port) && port > 0 && port < 65536
        ? { name: 'reserved', port }
        : { name: 'no-answer', message: `the router reserved a port and did not say which; ${FIRMWARE}` }
    })
  }

  async remove(protocol: 'tcp' | 'udp', externalPort: number, signal: AbortSignal): Promise<MappingEvent> {
    const answer = await this.#ask('DeletePortMapping', entryKey(protocol, externalPort), signal)
    return eventOf(answer, () => ({ name: 'removed' }))
  }

  #entry(mapping: PortMapping, description: string): ReadonlyArray<readonly [string, string | number]> {
    return [
      ...entryKey(mapping.protocol, mapping.externalPort),
      ['NewInternalPort', mapping.internalPort],
      ['NewInternalClient', this.#localAddress],
      ['NewEnabled', 1],
      ['NewPortMappingDescription', description],
      ['NewLeaseDuration', mapping.leaseS],
    ]
  }

  async #ask(
    action: string,
    args: ReadonlyArray<readonly [string, string | number]>,
    signal: AbortSignal,
  ): Promise<IgdAnswer> {
    const { controlUrl, type } = this.#service
    const limit = deadline(this.#clock, ACTION_MS, signal)
    try {
      const { status, body } = await askDevice({
        url: controlUrl,
        method: 'POST',
        ...soapRequest(type, action, args),
        maxBytes: MAX_ANSWER_BYTES,
        signal: limit.signal,
        localAddress: this.#localAddress,
      })
      const answer = parseSoapAnswer(body, action)
      return (
        answer ?? {
          kind: 'no-answer',
          message: `the router answered ${action} with nonsense (HTTP ${status}); ${FIRMWARE}`,
        }
      )
    } catch (thrown) {
      return {
        kind: 'no-answer',
        message: `the router did not answer ${action} (${reasonOf(thrown)}); if that lasts, restart it`,
      }
    } finally {
      limit.done()
    }
  }
}

/** An empty remote host means anybody; it is the only value that all gateways take. */
function entryKey(protocol: 'tcp' | 'udp', externalPort: number): ReadonlyArray<readonly [string, string | number]> {
  return [
    ['NewRemoteHost', ''],
    ['NewExternalPort', externalPort],
    ['NewProtocol', protocol.toUpperCase()],
  ]
}

function eventOf(answer: IgdAnswer, read: (values: ReadonlyMap<string, string>) => MappingEvent): MappingEvent {
  switch (answer.kind) {
    case 'values':
      return read(answer.values)
    case 'fault':
      return { name: 'fault', code: answer.code }
    case 'no-answer':
      return { name: 'no-answer', message: answer.message }
    default:
      return answer satisfies never
  }
}
