import { createRequire } from 'node:module'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { certificateFor } from '../../agent/path/certificate.ts'
import { preferredCiphers } from '../../agent/path/ciphers.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { UdxCarrier, type UdxStream } from './udx-carrier.ts'

/** The package's own streams, which the agents do without. */
interface Udx {
  createSocket(): { bind(port: number, host: string): void }
  createStream(id: number): UdxStream & { connect(socket: object, id: number, port: number, host: string): void }
}

export interface UdxEnds {
  readonly side: string
  readonly port: number
  readonly host: string
  readonly otherPort: number
}

/** Opens streams of TLS 1.3 over UDX between public hosts; both ends know each by the same two numbers. */
export function udxStreams({ side, port, host, otherPort }: UdxEnds): (number: number) => TLSSocket {
  const key = generateKeyPair()
  const secureContext = createSecureContext({
    key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    cert: certificateFor(key),
    ciphers: preferredCiphers(),
    minVersion: 'TLSv1.3',
  })
  const options = { secureContext, requestCert: true, rejectUnauthorized: false } as const
  const UDX: new () => Udx = createRequire(import.meta.url)('udx-native')
  const udx = new UDX()
  const socket = udx.createSocket()
  socket.bind(port, '0.0.0.0')
  return number => {
    const [own, other] = side === 'near' ? [number, number + 1] : [number + 1, number]
    const raw = udx.createStream(own)
    raw.connect(socket, other, otherPort, host)
    const carrier = new UdxCarrier(raw)
    carrier.on('error', () => undefined)
    const sealed =
      side === 'near'
        ? tlsConnect({ ...options, socket: carrier, checkServerIdentity: () => undefined })
        : new TLSSocket(carrier, { ...options, isServer: true })
    sealed.on('error', () => undefined)
    return sealed
  }
}
