import { fromHex } from './keys.ts'

/** 00 01 ... 0f; the probe and the answer are BOB's. */
export const REACH_NONCE = Uint8Array.from({ length: 16 }, (_, i) => i)
export const REACH_PROBE = fromHex('f657749ad199c4c907ff3664135b90a649ffeb7407a47b146a7ed36d7bc71e9c')
export const REACH_ANSWER = fromHex('06eba1d114e09e82bf0ce4c675f9500a')
