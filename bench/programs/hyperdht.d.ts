/** What the benchmark uses of hyperdht, which has no types of its own. Its streams are streamx's, which behave as Node's. */
declare module 'hyperdht' {
  import type { Duplex } from 'node:stream'

  interface KeyPair {
    readonly publicKey: Buffer
    readonly secretKey: Buffer
  }

  interface Server {
    listen(keyPair: KeyPair): Promise<void>
  }

  class DHT {
    static bootstrapper(port: number, host: string): DHT
    static keyPair(): KeyPair
    constructor(options: {
      readonly bootstrap: readonly { readonly host: string; readonly port: number }[]
      readonly port: number
      readonly host: string
      readonly ephemeral?: boolean
      readonly firewalled?: boolean
    })
    fullyBootstrapped(): Promise<void>
    createServer(onConnection: (stream: Duplex) => void): Server
    connect(publicKey: Buffer): Duplex
  }

  export = DHT
}
