/** What TLS exports for a packet, the plain frame in it, and the packet: AES-128-GCM. */
export const SEALED = {
  /** Context of the exporter: direction 0 (from the smaller id), epoch 0. */
  context: '00 00000000',
  key: '000102030405060708090a0b0c0d0e0f',
  iv: '101112131415161718191a1b',
  number: 0x0201,
  plain: '06 00 0005 00000003 68656c6c6f',
  packet: 'c6 000000000201 d1d27a3884d60f8c161f9c7f21 718d1e518067616fe017dccd06a8f97a',
} as const
