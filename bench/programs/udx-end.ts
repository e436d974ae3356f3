import { createRequire } from 'node:module'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { certificateFor } from '../../agent/path/certificate.ts'
import { preferredCiphers } from '../../agent/path/ciphers.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { serveCommands } from './commands.ts'
import { MadeUpTraffic } from './made-up-traffic.ts'
import { UdxCarrier, type UdxStream } from './udx-carrier.ts'

// The baseline of a `udx` path: `near|far PORT OTHER_HOST OTHER_PORT`, TLS 1.3 over two UDX streams, between public hosts.

/** The package's own streams, which the agents do without. */
interface Udx {
  createSocket(): { bind(port: number, host: string): void }
  createStream(id: number): UdxStream & { connect(socket: object, id: number, port: number, host: string): void }
}

const [side, port, host = '', otherPort] = process.argv.slice(2)
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
socket.bind(Number(port), '0.0.0.0')

/** Both ends know each stream by the same two numbers. */
function stream(number: number): TLSSocket {
  const [own, other] = side === 'near' ? [number, number + 1] : [number + 1, number]
  const raw = udx.createStream(own)
  raw.connect(socket, other, Number(otherPort), host)
  const carrier = new UdxCarrier(raw)
  carrier.on('error', () => undefined)
  const sealed =
    side === 'near'
      ? tlsConnect({ ...options, socket: carrier, checkServerIdentity: () => undefined })
      : new TLSSocket(carrier, { ...options, isServer: true })
  sealed.on('error', () => undefined)
  return sealed
}

const traffic = new MadeUpTraffic()
serveCommands({
  ...traffic.handlers,
  /** The far end first: what comes for a stream that is not there yet is lost until it is sent again. */
  open() {
    const [bulk, echo] = [stream(1), stream(3)]
    if (side === 'near') traffic.open(bulk, echo)
    else for (const one of [bulk, echo]) traffic.accept(one)
  },
})
