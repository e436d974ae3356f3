import { keyPairFromSeed } from '../../common/platform/ed25519.ts'

/** The key pair of RFC 8032 §7.1, TEST 1. */
export const ALICE = keyPairFromSeed(
  Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex'),
)
/** TEST 2. */
export const BOB = keyPairFromSeed(
  Buffer.from('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb', 'hex'),
)
/** TEST 3. */
export const RELAY = keyPairFromSeed(
  Buffer.from('c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7', 'hex'),
)

export function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s+/g, ''), 'hex')
}
