import { createServer as createNetServer, connect as netConnect, type Socket } from 'node:net'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { certificateFor } from '../../agent/path/certificate.ts'
import { preferredCiphers } from '../../agent/path/ciphers.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'

// The baseline of a direct TCP path: `near PORT FAR_HOST FAR_PORT` takes local connections and pipes each into a TLS 1.3
// connection of its own, `far PORT HOST SERVICE_PORT` pipes those into the service. No framing, no flow control of ours.

const [side, port, host, to] = process.argv.slice(2)
const key = generateKeyPair()
const tls = {
  key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  cert: certificateFor(key),
  ciphers: preferredCiphers(),
  minVersion: 'TLSv1.3',
  requestCert: true,
  rejectUnauthorized: false,
} as const

function join(a: Socket, b: Socket): void {
  for (const socket of [a, b]) socket.on('error', () => undefined)
  a.pipe(b).pipe(a)
  a.once('close', () => b.destroy())
  b.once('close', () => a.destroy())
}

const target = { host: host ?? '127.0.0.1', port: Number(to), noDelay: true }
const server =
  side === 'near'
    ? createNetServer({ noDelay: true }, socket =>
        join(socket, tlsConnect({ ...target, ...tls, checkServerIdentity: () => undefined })),
      )
    : createTlsServer({ ...tls, noDelay: true }, socket => join(socket, netConnect(target)))
server.listen(Number(port), () => process.stdout.write('ready\n'))
