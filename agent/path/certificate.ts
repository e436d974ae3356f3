import { type KeyPair, publicKeyOf, signBytes } from '../../common/platform/ed25519.ts'

/**
 * The self-signed X.509 certificate (PEM) that carries an identity key through TLS. Only the key in it means anything:
 * both sides compare it with the expected peer id. It is valid always, because a device without a clock at boot would
 * otherwise refuse itself, and has no name, because a name in it would prove nothing.
 */
export function certificateFor(key: KeyPair): string {
  const publicKeyInfo = publicKeyOf(key.id).export({ format: 'der', type: 'spki' })
  const toSign = sequence(
    integer(1),
    ED25519,
    NAME,
    sequence(time(0x17, '700101000000Z'), time(0x18, '99991231235959Z')),
    NAME,
    publicKeyInfo,
  )
  const signature = signBytes(key, toSign)
  const certificate = sequence(toSign, ED25519, der(0x03, Buffer.concat([Uint8Array.of(0), signature])))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** Object identifier 1.3.101.112 (RFC 8410). */
const ED25519 = sequence(der(0x06, Buffer.from('2b6570', 'hex')))
/** commonName (2.5.4.3) = culvert: OpenSSL wants an issuer that is not empty. */
const NAME = sequence(der(0x31, sequence(der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from('culvert')))))

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function integer(value: number): Buffer {
  return der(0x02, Uint8Array.of(value))
}

function time(tag: number, text: string): Buffer {
  return der(tag, Buffer.from(text, 'latin1'))
}

/** Tag, length, value (X.690 §8.1); lengths to 65,535. */
function der(tag: number, value: Uint8Array): Buffer {
  const { length } = value
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from(head), value])
}
