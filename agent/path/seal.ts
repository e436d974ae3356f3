import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { type KeyPair, peerIdOfPublicKey } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { shortPeerId } from '../../common/wire/peer-id.ts'
import { certificateFor } from './certificate.ts'
import { preferredCiphers } from './ciphers.ts'

/** Negotiated in the handshake, so that another protocol's TLS endpoint can never be mistaken for a peer. */
export const ALPN = 'culvert/1'

/** A handshake that takes longer is given up: a slow line needs two round trips, a dead one none. */
export const HANDSHAKE_MS = 8_000

/** Turns byte streams into paths of one identity. */
export interface Sealer {
  /**
   * Runs TLS 1.3 over `carrier` and checks the peer's key before a byte of it is used. Rejects with
   * `peer-impersonated` when the key is not the expected one, `not-authorized` when `accept` says no, `timed-out`,
   * `aborted` or `peer-unreachable`; the carrier is destroyed then.
   */
  seal(carrier: Duplex, options: SealOptions): Promise<SealedStream>
}

export interface SealOptions {
  readonly role: 'client' | 'server'
  /** The peer that must be on the other end; absent when a stranger may be knocking, and `accept` decides. */
  readonly expected?: PeerId
  readonly accept: (peer: PeerId) => boolean
  readonly signal: AbortSignal
}

/** A byte stream whose other end has proven to be `peer`. */
export interface SealedStream {
  readonly peer: PeerId
  readonly stream: TLSSocket
}

export function createSealer(identity: KeyPair, clock: Clock): Sealer {
  const context = createSecureContext({
    key: identity.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    cert: certificateFor(identity),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: preferredCiphers(),
  })
  return { seal: (carrier, options) => handshake(context, carrier, options, clock) }
}

function handshake(context: SecureContext, carrier: Duplex, options: SealOptions, clock: Clock): Promise<SealedStream> {
  const { role, expected, accept, signal } = options
  return new Promise((resolve, reject) => {
    const stream = startTls(context, carrier, role)
    const give = (error: CulvertError | undefined, sealed?: SealedStream) => {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
      stream.off('error', onError)
      stream.off('end', onClose)
      stream.off('close', onClose)
      // Whoever owns the stream next learns of its end by `close`; an error must never be without a listener.
      stream.on('error', () => undefined)
      if (sealed) {
        resolve(sealed)
        return
      }
      stream.destroy()
      carrier.destroy()
      reject(error)
    }
    const onError = (cause: Error) =>
      give(new CulvertError('peer-unreachable', `the TLS handshake failed: ${reasonOf(cause)}`, { cause }))
    const onClose = () =>
      give(new CulvertError('peer-unreachable', 'the other side closed the connection during the TLS handshake'))
    const onAbort = () => give(new CulvertError('aborted', 'the TLS handshake was aborted', { cause: signal.reason }))
    const timer = clock.after(HANDSHAKE_MS, () =>
      give(new CulvertError('timed-out', `no answer (${HANDSHAKE_MS / 1000} s)`)),
    )
    stream.once('error', onError)
    // A server's side does not take an end for the failure that it is here, and would wait for the time to run out.
    stream.once('end', onClose)
    stream.once('close', onClose)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    stream.once(role === 'client' ? 'secureConnect' : 'secure', () => {
      const verdict = verify(stream, expected, accept)
      if (verdict instanceof CulvertError) give(verdict)
      else give(undefined, { peer: verdict, stream })
    })
  })
}

function startTls(context: SecureContext, carrier: Duplex, role: 'client' | 'server'): TLSSocket {
  // The certificate chain proves nothing here: `verify` compares the key itself.
  const common = { secureContext: context, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [ALPN] }
  return role === 'client'
    ? tlsConnect({ ...common, socket: carrier, checkServerIdentity: () => undefined })
    : new TLSSocket(carrier as ConstructorParameters<typeof TLSSocket>[0], { ...common, isServer: true })
}

function verify(stream: TLSSocket, expected: PeerId | undefined, accept: (peer: PeerId) => boolean) {
  if (stream.alpnProtocol !== ALPN) {
    return new CulvertError('peer-unreachable', `the other side does not speak ${ALPN}`)
  }
  const certificate = stream.getPeerX509Certificate()
  const peer = certificate ? peerIdOfPublicKey(certificate.publicKey) : undefined
  if (!peer) return new CulvertError('not-authorized', 'the other side showed no Ed25519 certificate')
  if (expected !== undefined && peer !== expected) {
    const message = `expected peer ${shortPeerId(expected)}, but ${shortPeerId(peer)} answered; nothing was sent to it`
    return new CulvertError('peer-impersonated', message)
  }
  if (!accept(peer)) return new CulvertError('not-authorized', `peer ${peer} is not in peers`)
  return peer
}
