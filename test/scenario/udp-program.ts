import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { setTimeout as wait } from 'node:timers/promises'

// Programs that know nothing of culvert: run on a host of the lab as `node udp-program.ts ROLE PORT ...`.

const [role, portText, ...rest] = process.argv.slice(2)
const port = Number(portText)
const socket = createSocket('udp4')

/** Sends back what it gets. */
function echo(): void {
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address))
  socket.bind(port, '127.0.0.1', () => say('ready'))
}

/** Sends one datagram of each size, again until its echo comes; tells the sizes that came back unchanged. */
async function ask(sizes: readonly number[]): Promise<void> {
  const whole: number[] = []
  for (const size of sizes) {
    const sent = randomBytes(size)
    for (let tries = 0; tries < 10 && whole.at(-1) !== size; tries++) {
      if (await comesBack(sent)) whole.push(size)
    }
  }
  say(JSON.stringify(whole))
  socket.close()
}

async function comesBack(sent: Buffer): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.removeAllListeners('message')
  socket.on('message', bytes => resolve(sha256(bytes) === sha256(sent)))
  socket.send(sent, port, '127.0.0.1')
  return Promise.race([promise, wait(2_000, false)])
}

/** Sends one small datagram every so many milliseconds; tells the round trip of each that came back, by its number. */
async function pace(count: number, periodMs: number): Promise<void> {
  const sentAt: number[] = []
  const rttMs = new Map<number, number>()
  socket.on('message', bytes => {
    const number = bytes.readUInt32BE(0)
    rttMs.set(number, performance.now() - (sentAt[number] ?? 0))
  })
  for (let number = 0; number < count; number++) {
    const bytes = Buffer.alloc(200)
    bytes.writeUInt32BE(number, 0)
    sentAt.push(performance.now())
    socket.send(bytes, port, '127.0.0.1')
    await wait(periodMs)
  }
  await wait(1_500)
  say(JSON.stringify([...rttMs.entries()]))
  socket.close()
}

/** Sends as fast as the system takes it, for so long; tells how many. */
async function flood(forMs: number): Promise<void> {
  const bytes = Buffer.alloc(1_200)
  const until = performance.now() + forMs
  let count = 0
  await new Promise<void>(resolve => socket.connect(port, '127.0.0.1', resolve))
  while (performance.now() < until) {
    const sent = Array.from({ length: 100 }, () => new Promise(done => socket.send(bytes, done)))
    await Promise.all(sent)
    count += sent.length
  }
  say(JSON.stringify(count))
  socket.close()
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

const numbers = rest.map(Number)
const [first = 0, second = 0] = numbers
if (role === 'echo') echo()
else if (role === 'ask') await ask(numbers)
else if (role === 'pace') await pace(first, second)
else await flood(first)
