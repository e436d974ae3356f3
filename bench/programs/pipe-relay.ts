import { connect, createServer } from 'node:net'

// The baseline of a relay: `PORT HOST TO` joins every connection with one to the target by Node's own pipe.

const [port, host, to] = process.argv.slice(2)
const server = createServer({ noDelay: true }, a => {
  const b = connect({ host: host ?? '127.0.0.1', port: Number(to), noDelay: true })
  for (const socket of [a, b]) socket.on('error', () => undefined)
  a.pipe(b).pipe(a)
  a.once('close', () => b.destroy())
  b.once('close', () => a.destroy())
})
server.listen(Number(port), () => process.stdout.write('ready\n'))
