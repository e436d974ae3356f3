import { createInterface } from 'node:readline'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { Rendezvous } from '../../agent/rendezvous/rendezvous.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { type Random, systemRandom } from '../../common/platform/random.ts'

// A program: many agents at one relay, as far as an agent has to do with relays. Says on standard output what is seen of
// them, takes `leave N` and `join N` on standard input.

const LOOK_EVERY_MS = 100
const log = createLog({ level: 'error', style: 'words', write: line => void process.stderr.write(line) })

/** One agent's lines, with the moment for which its next attempt was drawn. */
class Member {
  readonly key: KeyPair = generateKeyPair()
  readonly #url: URL
  readonly #others: () => readonly Member[]
  rendezvous: Rendezvous | undefined
  #drawn = false
  #dueAt = 0
  /** It has been connected since the last call of `wasBack`. */
  #back: string | undefined

  constructor(url: URL, others: () => readonly Member[]) {
    this.#url = url
    this.#others = others
  }

  join(): void {
    let connected = false
    const rendezvous = new Rendezvous({
      relays: [relayAddress(this.#url, undefined, undefined)],
      identity: this.key,
      clock: this.#clock,
      random: this.#random,
      log,
      software: 'fleet',
      instance: systemRandom.bytes(8),
      addresses: () => [],
      isTrusted: () => true,
      onCall: call => call.refuse('refused'),
      onPresence: () => undefined,
      onLost: () => undefined,
      onChange: () => {
        if (rendezvous.connected && !connected)
          this.#back = `${Math.round(this.#dueAt)} ${Math.round(performance.now())}`
        connected = rendezvous.connected
      },
    })
    rendezvous.watch(this.#others().map(({ key }) => key.id))
    this.rendezvous = rendezvous
  }

  leave(): void {
    this.rendezvous?.close()
    this.rendezvous = undefined
  }

  /** When it was to dial, and when it was welcomed; once for each time. */
  wasBack(): string | undefined {
    const back = this.#back
    this.#back = undefined
    return back
  }

  sees(other: Member): boolean | undefined {
    return this.rendezvous?.presence(other.key.id)
  }

  /** Chance is drawn for one thing here, the wait for the next attempt; its timer is the one made next. */
  readonly #random: Random = {
    bytes: length => systemRandom.bytes(length),
    integer: (low, high) => {
      this.#drawn = true
      return systemRandom.integer(low, high)
    },
  }
  readonly #clock: Clock = {
    ...systemClock,
    after: (delayMs, run) => {
      if (this.#drawn) this.#dueAt = performance.now() + delayMs
      this.#drawn = false
      return systemClock.after(delayMs, run)
    },
  }
}

const [url = '', count = ''] = process.argv.slice(2)
const members: Member[] = []
const othersOf = (member: Member) => members.filter(other => other !== member)
for (let n = 0; n < Number(count); n++) {
  const member: Member = new Member(new URL(url), () => othersOf(member))
  members.push(member)
}
const say = (line: string) => void process.stdout.write(`${line}\n`)

let told = ''
/** Tells in one word how much of the fleet is there, as soon as it is another one. */
function look(): void {
  for (const [n, member] of members.entries()) {
    const back = member.wasBack()
    if (back !== undefined) say(`back ${n} ${back}`)
  }
  const word = stateOf()
  if (word !== told) say(word)
  told = word
}

function stateOf(): string {
  const there = members.filter(({ rendezvous }) => rendezvous)
  const connected = there.filter(({ rendezvous }) => rendezvous?.connected).length
  if (connected === 0) return 'nobody'
  if (connected < there.length) return 'some'
  const all = there.every(one => members.every(other => one === other || one.sees(other) === there.includes(other)))
  return all ? `all ${there.length}` : 'some'
}

createInterface({ input: process.stdin }).on('line', line => {
  const [word, n] = line.split(' ')
  const member = members[Number(n)]
  if (word === 'leave') member?.leave()
  else member?.join()
})
for (const member of members) member.join()
setInterval(look, LOOK_EVERY_MS)
