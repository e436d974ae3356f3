/** The part of the `bittorrent-dht` package that we use; it ships no types. */

declare module 'bittorrent-dht' {
  /** What came from other nodes: of any type. */
  export interface DhtValue {
    readonly v: unknown
    readonly seq?: unknown
  }

  export interface DhtOptions {
    /** `host:port`; asked where the table has nobody. */
    readonly nodes: readonly string[]
    /** False: the table is not filled at the start. */
    readonly bootstrap: false
    readonly socket: unknown
    readonly concurrency: number
    readonly maxTables: number
    readonly maxValues: number
    readonly maxPeers: number
    readonly verify: (signature: unknown, message: unknown, key: unknown) => boolean
  }

  class DHT {
    constructor(options: DhtOptions)
    /** Takes nothing from who asks. */
    _onquery: (query: unknown, peer: unknown) => void
    on(event: 'error' | 'warning', listener: (error: unknown) => void): void
    get(
      target: Buffer,
      options: { readonly cache: false },
      done: (error: Error | null, value: DhtValue | null | undefined) => void,
    ): void
    put(
      item: {
        readonly k: Buffer
        readonly v: Buffer
        readonly seq: number
        readonly sign: (message: Uint8Array) => Buffer
      },
      done: (error: Error | null, target: unknown, nodes: number) => void,
    ): void
    toJSON(): { readonly nodes: ReadonlyArray<{ readonly host: string; readonly port: number }> }
    destroy(done: () => void): void
  }

  // biome-ignore lint/style/noDefaultExport: the package has it so.
  export { DHT as default }
}
