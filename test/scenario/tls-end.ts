import { createServer, connect as tlsConnect } from 'node:tls'
import { certificateFor } from '../../agent/path/certificate.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'

// One end of bare TLS over kernel TCP. `serve PORT BYTES`: sends so many when asked. `fetch HOST PORT BYTES`: asks, and
// prints the milliseconds until the last of them came.

const [role, ...rest] = process.argv.slice(2)

if (role === 'serve') {
  const [port, bytes] = rest.map(Number)
  const key = generateKeyPair()
  const identity = { key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }), cert: certificateFor(key) }
  createServer(identity, socket => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end(Buffer.alloc(bytes ?? 0)))
  }).listen(port, () => process.stdout.write('ready\n'))
} else {
  const [host, port, bytes] = rest
  const socket = tlsConnect({ host, port: Number(port), rejectUnauthorized: false }, () => {
    const startedAt = performance.now()
    let received = 0
    socket.write('go')
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received < Number(bytes)) return
      process.stdout.write(`${performance.now() - startedAt}\n`)
      process.exit(0)
    })
  })
}
