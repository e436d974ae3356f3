import { PROBE_ID_BYTES, PROBE_NONCE_BYTES, PROBE_SECRET_BYTES, type ProbeMessage } from '../../common/wire/probe.ts'

const counted = (length: number, from: number, step = 1) =>
  Uint8Array.from({ length }, (_, i) => (from + i * step) & 0xff)

/** The secret 00 01 ... 1f, the nonce a0 a1 ... ab, the transaction 11 22 ... 88, the cookie c0 c1 ... c7. */
export const PROBE_SECRET = counted(PROBE_SECRET_BYTES, 0)
export const PROBE_NONCE = counted(PROBE_NONCE_BYTES, 0xa0)
const transaction = counted(PROBE_ID_BYTES, 0x11, 0x11)
const cookie = counted(PROBE_ID_BYTES, 0xc0)

/** Sent by the peer with the smaller id: the whole packet, and what is sealed in it. */
export const PROBES: ReadonlyArray<{ readonly hex: string; readonly plain: string; readonly message: ProbeMessage }> = [
  {
    hex: 'c5700bce5dd592e014a0a1a2a3a4a5a6a7a8a9aaabe72a955980a9dc080a2f8efc067c33dd8cca214580c217e24da918',
    plain: '011122334455667788a35e',
    message: { kind: 'check', transaction, aimedAt: 41822 },
  },
  {
    hex: 'c5700bce5dd592e014a0a1a2a3a4a5a6a7a8a9aaabe42a955980a9dc080a4c11b1d9e59077667d3b98c6de062df0932749a3a861ecd046ff53eb5807f1',
    plain: '021122334455667788c0c1c2c3c4c5c6c7040fa1c0000207',
    message: { kind: 'answer', transaction, cookie, seen: { address: '192.0.2.7', port: 4001 } },
  },
  {
    hex: 'c5700bce5dd592e014a0a1a2a3a4a5a6a7a8a9aaabe42a955980a9dc080a4c11b1d9e59077667f3b9826df09922624f4f5ac6de54fb8370390d4759b633952e9cbb5decade190c0ba4',
    plain: '021122334455667788c0c1c2c3c4c5c6c7060fa120010db8000000000000000000000007',
    message: { kind: 'answer', transaction, cookie, seen: { address: '2001:db8::7', port: 4001 } },
  },
  {
    hex: 'c5700bce5dd592e014a0a1a2a3a4a5a6a7a8a9aaabe52a955980a9dc080a4c11b1d9e5907766f09ff4e9df6f32a26ca5e03d0fc46545c0eab5bfdd',
    plain: '031122334455667788c0c1c2c3c4c5c6c789abcdef01',
    message: { kind: 'nominate', transaction, cookie, stream: 0x89abcdef, small: true },
  },
  {
    hex: 'c5700bce5dd592e014a0a1a2a3a4a5a6a7a8a9aaabe22a955980a9dc080a8cd0731d2a16c9e8d64486f62c52e0c00fb9ea7d',
    plain: '04112233445566778800000007',
    message: { kind: 'nominated', transaction, stream: 7 },
  },
]
