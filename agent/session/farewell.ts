/** How far both sides are in ending a session for want of streams. */
export class Farewell {
  #state: 'none' | 'proposed' | 'answered' = 'none'

  /** The peer may end the session any moment: a new stream had better wait for the next one. */
  get answered(): boolean {
    return this.#state === 'answered'
  }

  /** False when a bye was said before. */
  propose(): boolean {
    if (this.#state !== 'none') return false
    this.#state = 'proposed'
    return true
  }

  /** The peer's bye came, with no stream here: the session is over, or ours is to be said. */
  receive(): 'over' | 'answer' {
    if (this.#state === 'proposed') return 'over'
    // Not the end yet: a stream that the peer opened after its bye may be on its way.
    this.#state = 'answered'
    return 'answer'
  }

  /** There is a stream again, or the peer is another one. */
  takeBack(): void {
    this.#state = 'none'
  }
}
