/**
 * Takes every knock for its own, and proves to be somebody else: `node impostor.ts PORT`. Prints a line per caller, and
 * what it said before it left.
 */
import { readKnock } from '../../agent/path/knock.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { listenTcp } from '../../common/platform/tcp.ts'

const sealer = createSealer(generateKeyPair(), systemClock)
const listener = await listenTcp({
  port: Number(process.argv[2]),
  onConnection(socket) {
    process.stdout.write('called\n')
    void readKnock(socket, systemClock)
      .then(() => sealer.seal(socket, { role: 'server', accept: () => true, signal: AbortSignal.timeout(5_000) }))
      .then(({ stream }) =>
        stream.on('data', () => process.stdout.write('said something\n')).on('error', () => undefined),
      )
      .catch(() => socket.destroy())
  },
})
process.stdout.write(`ready ${listener.local.port}\n`)
