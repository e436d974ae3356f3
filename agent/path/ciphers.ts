import { hasAesInstructions, readProcessorInfo } from '../../common/platform/processor.ts'

const AES = 'TLS_AES_128_GCM_SHA256'
const CHACHA = 'TLS_CHACHA20_POLY1305_SHA256'

let order: string | undefined

/**
 * TLS 1.3 suites, the faster first: AES where the processor has instructions for it, ChaCha20 on a Pi 4 and older,
 * which has none and runs AES in software at a third of the speed. It is looked up, not timed: on a busy machine a
 * short timing is a matter of luck, and ChaCha20 costs an x86 three times the processor time.
 */
export function preferredCiphers(): string {
  order ??= cipherOrder(hasAesInstructions(readProcessorInfo(), process.arch))
  return order
}

/** The suites for OpenSSL, first the one to prefer. */
function cipherOrder(aesInstructions: boolean): string {
  return (aesInstructions ? [AES, CHACHA] : [CHACHA, AES]).join(':')
}
