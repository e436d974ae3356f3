/** The part of the `stun` package that we use; it ships no types. Its files are named one by one to load no more. */

declare module 'stun/src/lib/create-message.js' {
  export interface StunPacketAttribute {
    readonly type: number
    /** Its form depends on the type; untrusted. */
    readonly value: unknown
  }
  export interface StunPacket extends Iterable<StunPacketAttribute> {
    readonly type: number
    readonly transactionId: Buffer
  }
  export interface StunPacketBuilder extends StunPacket {
    addAttribute(type: number, ...values: ReadonlyArray<string | number | readonly number[]>): unknown
  }
  export function createMessage(type: number, transaction: Buffer): StunPacketBuilder
}

declare module 'stun/src/message/decode.js' {
  import type { StunPacket } from 'stun/src/lib/create-message.js'

  function decode(message: Buffer): StunPacket
  export = decode
}

declare module 'stun/src/message/encode.js' {
  import type { StunPacket } from 'stun/src/lib/create-message.js'

  function encode(message: StunPacket): Buffer
  export = encode
}
