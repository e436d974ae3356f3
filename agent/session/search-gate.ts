/** One search at a time in the whole agent: two would share one router's patience. */
export class SearchGate {
  #taken = false

  get taken(): boolean {
    return this.#taken
  }

  /** Undefined while another one runs. */
  enter(): Disposable | undefined {
    if (this.#taken) return undefined
    this.#taken = true
    let mine = true
    return {
      [Symbol.dispose]: () => {
        if (mine) this.#taken = false
        mine = false
      },
    }
  }
}
