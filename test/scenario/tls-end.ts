import { createServer, connect as tlsConnect } from 'node:tls'
import { certificateFor } from '../../agent/path/certificate.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'

// One end of bare TLS over kernel TCP. `serve PORT BYTES`: sends so many when asked, or takes so many and says so. `down
// HOST PORT BYTES` asks for them and `up HOST PORT BYTES` sends them; both print the milliseconds until all had come.

const [role, ...rest] = process.argv.slice(2)

if (role === 'serve') {
  const [port, bytes = 0] = rest.map(Number)
  const key = generateKeyPair()
  const identity = { key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }), cert: certificateFor(key) }
  createServer(identity, socket => {
    socket.on('error', () => socket.destroy())
    let received = 0
    let up: boolean | undefined
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (up === undefined) {
        up = chunk.toString('latin1', 0, 2) === 'up'
        if (!up) socket.end(Buffer.alloc(bytes))
      }
      if (up && received >= bytes + 2) socket.end('all')
    })
  }).listen(port, () => process.stdout.write('ready\n'))
} else {
  const [host, port, bytes] = rest
  const wanted = role === 'up' ? 'all'.length : Number(bytes)
  const socket = tlsConnect({ host, port: Number(port), rejectUnauthorized: false }, () => {
    const startedAt = performance.now()
    let received = 0
    socket.write(role === 'up' ? Buffer.concat([Buffer.from('up'), Buffer.alloc(Number(bytes))]) : 'go')
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received < wanted) return
      process.stdout.write(`${performance.now() - startedAt}\n`)
      process.exit(0)
    })
  })
}
