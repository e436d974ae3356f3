import { fromHex } from './keys.ts'

/** A knock for BOB, made with the nonce 00 01 ... 0f. */
export const KNOCK = fromHex('000102030405060708090a0b0c0d0e0f fee10b1f1b5144d27ca652f4104d35a2')
