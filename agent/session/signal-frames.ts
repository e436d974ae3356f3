import { type Candidate, decodeCandidates, encodeCandidates } from '../../common/wire/candidate.ts'
import { decodeProbeSecret } from '../../common/wire/probe.ts'
import { decodePunch, encodePunch, type PunchSignal } from '../../common/wire/punch-signal.ts'
import {
  decodeIce,
  encodeFrame,
  encodeIce,
  FRAME,
  type Frame,
  type IceSignal,
} from '../../common/wire/session-frame.ts'
import { decodeSituation, encodeSituation, type Situation } from '../../common/wire/situation.ts'
import { WISHES, wishOf } from './candidates-wish.ts'
import type { CandidatesWish, SignalEvents } from './session-events.ts'

/** What two agents tell each other to find better paths, each as a frame. */
export class SignalSender {
  readonly #send: (frame: Buffer) => void

  constructor(send: (frame: Buffer) => void) {
    this.#send = send
  }

  candidates(candidates: readonly Candidate[], wish?: CandidatesWish): void {
    this.#send(encodeFrame(FRAME.candidates, 0, encodeCandidates(candidates), wish ? WISHES[wish] : 0))
  }

  situation(situation: Situation): void {
    this.#send(encodeFrame(FRAME.situation, 0, encodeSituation(situation)))
  }

  probeSecret(secret: Uint8Array): void {
    this.#send(encodeFrame(FRAME.secret, 0, secret))
  }

  /** Where we are to be found, signed. */
  record(bytes: Uint8Array): void {
    this.#send(encodeFrame(FRAME.record, 0, bytes))
  }

  ice(attempt: number, signal: IceSignal): void {
    this.#send(encodeIce(attempt, signal))
  }

  punch(attempt: number, signal: PunchSignal): void {
    this.#send(encodePunch(attempt, signal))
  }
}

/** Hands on such a frame; any other one is left alone. Throws `wire-malformed`. */
export function receiveSignal(frame: Frame, events: SignalEvents): void {
  switch (frame.type) {
    case FRAME.candidates:
      events.onCandidates(decodeCandidates(frame.payload), wishOf(frame.flags))
      return
    case FRAME.situation:
      events.onSituation(decodeSituation(frame.payload))
      return
    case FRAME.secret:
      events.onProbeSecret(decodeProbeSecret(frame.payload))
      return
    case FRAME.record:
      events.onRecord(frame.payload)
      return
    case FRAME.ice: {
      const signal = decodeIce(frame)
      if (signal) events.onIce(frame.stream, signal)
      return
    }
    case FRAME.punch: {
      const signal = decodePunch(frame)
      if (signal) events.onPunch(frame.stream, signal)
      return
    }
    default:
      return
  }
}
