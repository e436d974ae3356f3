import { type Endpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'
import { type IceCandidate, parseCandidate } from './ice-candidate.ts'

/** libjuice keeps 30 of them; a peer that names more is not one whose every address we knock at. */
const MAX_REMOTE = 30

export interface CandidateExchangeOptions {
  readonly role: 'offerer' | 'answerer'
  readonly loopback: boolean
  readonly isOwnAddress?: (address: string) => boolean
}

/**
 * When candidates may pass, either way. Those of the peer wait for its description, without which libdatachannel may
 * abort. Those of an offerer wait for the answer: a check of the peer's that comes before it is answered, but libjuice
 * then forgets whose it was, reports a wrong remote address, and the first DTLS packet is lost for a second.
 */
export class CandidateExchange {
  readonly #loopback: boolean
  readonly #isOwnAddress: (address: string) => boolean
  readonly #holdOurs: boolean
  readonly #ours: IceCandidate[] = []
  readonly #theirs: IceCandidate[] = []
  #described = false

  constructor(options: CandidateExchangeOptions) {
    this.#loopback = options.loopback
    this.#isOwnAddress = options.isOwnAddress ?? (() => false)
    this.#holdOurs = options.role === 'offerer'
  }

  get described(): boolean {
    return this.#described
  }

  get theirs(): readonly IceCandidate[] {
    return this.#theirs
  }

  /** The addresses of our own interfaces, with the port in use. */
  get hosts(): readonly Endpoint[] {
    return this.#ours.filter(candidate => candidate.type === 'host').map(candidate => candidate.endpoint)
  }

  /** Notes one of ours; returns it when it may be sent now. */
  addOurs(candidate: IceCandidate): IceCandidate | undefined {
    this.#ours.push(candidate)
    return this.#holdOurs && !this.#described ? undefined : candidate
  }

  /** Reads a line of the library's about us. */
  addOurLine(line: string): IceCandidate | undefined {
    const candidate = parseCandidate(line, this.#loopback)
    return candidate && this.addOurs(candidate)
  }

  /** Reads a line of the peer's; returns the candidate when it may be given to the library now. */
  addTheirLine(line: string): IceCandidate | undefined {
    const candidate = parseCandidate(line, this.#loopback)
    if (!candidate || this.#theirs.length >= MAX_REMOTE) return undefined
    if (!this.#loopback && this.#isOwnAddress(candidate.endpoint.address)) return undefined
    if (this.#theirs.some(known => sameEndpoint(known.endpoint, candidate.endpoint))) return undefined
    this.#theirs.push(candidate)
    return this.#described ? candidate : undefined
  }

  /** The library has taken the peer's description: what may pass now. */
  describe(): { readonly give: readonly IceCandidate[]; readonly send: readonly IceCandidate[] } {
    this.#described = true
    return { give: [...this.#theirs], send: this.#holdOurs ? [...this.#ours] : [] }
  }

  /** Our socket was given up for another one. */
  forgetOurs(): void {
    this.#ours.length = 0
  }
}
