import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { listInterfaceAddresses } from '../../common/platform/network-interfaces.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { parsePeerId } from '../../common/wire/peer-id.ts'
import { Bulk } from './bulk.ts'
import { serveCommands } from './commands.ts'
import { monotonicMs } from './paced-stream.ts'

// One end of raw pipes through the relay given by its URL: bulk bytes without TLS, so that the relay is what is busy.

const never = new AbortController().signal
const key = generateKeyPair()
const bulk = new Bulk()
const connected = Promise.withResolvers<void>()
const rendezvous: Rendezvous = new Rendezvous({
  relays: [relayAddress(new URL(process.argv[2] ?? ''), undefined, undefined)],
  identity: key,
  clock: systemClock,
  random: systemRandom,
  log: createLog({ level: 'error', style: 'words', write: text => process.stderr.write(text) }),
  software: 'bench',
  instance: systemRandom.bytes(8),
  addresses: () => listInterfaceAddresses().map(({ address }) => address),
  isTrusted: () => true,
  onCall: call => void call.attach(never).then(({ socket }) => bulk.accept(socket)),
  onPresence: () => undefined,
  onLost: () => undefined,
  onChange: () => {
    if (rendezvous.connected) connected.resolve()
  },
})

serveCommands({
  async id() {
    await connected.promise
    return key.id
  },
  async start(request) {
    const peer = parsePeerId(request.text('peer'))
    if (!peer) throw new Error('no peer id')
    const mode = request.text('mode') === 'up' ? 'up' : 'down'
    const calls = Array.from({ length: request.number('streams') }, () => rendezvous.call(peer, never))
    for (const { socket } of await Promise.all(calls)) bulk.run(socket, mode)
  },
  count: () => ({ bytes: bulk.received, at: monotonicMs() }),
  stop: () => bulk.stop(),
})
