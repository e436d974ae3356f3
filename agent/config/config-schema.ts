// zod/mini, because zod's classic build is 25 times larger and starting it takes longer than all of `culvert id`.
import * as z from 'zod/mini'
import { LOG_LEVELS } from '../../common/platform/log.ts'
import { isName, NAME_PATTERN } from '../../common/wire/name.ts'
import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'
import { parseAddress, parseHostPort, parseTarget } from './address.ts'
import { parsePeerService } from './name.ts'

/**
 * Every option of the agent, each written once: its form, default, limits and words. The type, the validation, the
 * faults and the published JSON Schema all come from here. A rule's two texts finish the sentence "PLACE: VALUE ...".
 */
interface Rule {
  readonly description: string
  readonly problem: string
  readonly remedy: string
}

/** Problem and remedy travel through zod as one message; `parse-config.ts` takes them apart. */
export const REMEDY_SEPARATOR = '; '

function says(rule: Rule) {
  return { error: () => `${rule.problem}${REMEDY_SEPARATOR}${rule.remedy}` }
}

function text(rule: Rule & { readonly pattern?: RegExp; readonly accepts?: (text: string) => boolean }) {
  const whole = z.string(says(rule)).check(z.describe(rule.description))
  const formed = rule.pattern ? whole.check(z.regex(rule.pattern, says(rule))) : whole
  return rule.accepts ? formed.check(z.refine(rule.accepts, says(rule))) : formed
}

function integer(rule: { readonly description: string; readonly low: number; readonly high: number }) {
  const words = says({
    description: rule.description,
    problem: `is no whole number from ${rule.low} to ${rule.high}`,
    remedy: 'write such a number, without quotes',
  })
  return z.int(words).check(z.gte(rule.low, words), z.lte(rule.high, words), z.describe(rule.description))
}

function flag(description: string) {
  return z
    .boolean(says({ description, problem: 'is neither true nor false', remedy: 'write true or false, without quotes' }))
    .check(z.describe(description))
}

function group<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  return z
    .strictObject(shape, { error: issue => (issue.code === 'invalid_type' ? NO_OBJECT : undefined) })
    .check(z.describe(description))
}

function list<Item extends z.core.SomeType>(description: string, item: Item) {
  return z.array(item, { error: () => NO_LIST }).check(z.describe(description))
}

/** Names themselves are held to their rule by `cross-check.ts`: zod would pass over what stands under a bad name. */
function named<Item extends z.core.SomeType>(description: string, item: Item) {
  return z
    .record(z.string(), item, { error: issue => (issue.code === 'invalid_type' ? NO_OBJECT : undefined) })
    .check(z.meta({ description, propertyNames: { pattern: NAME_PATTERN.source } }))
}

const NO_OBJECT = `is no object${REMEDY_SEPARATOR}write { ... }`
const NO_LIST = `is no list${REMEDY_SEPARATOR}write [ ... ]`

export const NAME_RULE = {
  problem: 'is no name',
  remedy:
    'write letters, digits, "-", "_" and ".", at most 63, the first a letter or digit (a peer id cannot be a name)',
}

function name(description: string) {
  return text({ ...NAME_RULE, description, pattern: NAME_PATTERN, accepts: isName })
}

function peerId(description: string, teller = '"culvert id" prints on that machine') {
  const written = text({
    description,
    pattern: /^[a-z2-7]{52}$/,
    accepts: id => parsePeerId(id) !== undefined,
    problem: 'is no peer id',
    remedy: `write the 52 characters that ${teller}`,
  })
  return z.pipe(
    written,
    z.transform(id => id as PeerId),
  )
}

const port = (description: string) => z._default(integer({ description, low: 0, high: 65535 }), 0)

const target = text({
  description:
    'Where the service runs: "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH", as seen from this machine.',
  accepts: written => parseTarget(written) !== undefined,
  problem: 'is no target',
  remedy: 'write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH"',
})

const relay = group('A relay.', {
  url: text({
    description: 'Where the relay is: "https://HOST" or "http://HOST:PORT" ("wss:" and "ws:" mean the same).',
    accepts: isRelayUrl,
    problem: 'is no relay URL',
    remedy: 'write "https://HOST" or "http://HOST:PORT", without user, password, "?" and "#"',
  }),
  id: z.optional(
    peerId(
      "The relay's id. With it the relay is proven by its key instead of by a certificate authority.",
      'the relay prints at its start, as "id"',
    ),
  ),
})

const peer = group('A peer that this one trusts.', {
  id: peerId('The id that "culvert id" prints on that machine.'),
  keep: z._default(flag('Stay connected at all times, not only while something flows.'), false),
})

const service = group('A service that this machine offers.', {
  target,
  allow: z._default(
    list(
      'Who may use it: "*" for every peer, "peer:NAME", "role:ROLE".',
      text({
        description: '"*", "peer:NAME" or "role:ROLE".',
        pattern: /^(?:\*|(?:peer|role):[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/,
        problem: 'names nobody',
        remedy: 'write "*", "peer:NAME" or "role:ROLE"',
      }),
    ),
    ['*'],
  ),
})

const forward = group("A local listener that leads to a peer's service, or a SOCKS5 server that leads to all.", {
  listen: text({
    description:
      'Where to listen: "tcp://HOST:PORT" or "unix:/PATH", "udp://HOST:PORT" for a UDP service, or "socks5://HOST:PORT", whose clients name SERVICE.PEER.culvert.internal.',
    accepts: written => parseAddress(written) !== undefined,
    problem: 'is no address to listen on',
    remedy: 'write "tcp://127.0.0.1:PORT", "udp://127.0.0.1:PORT", "unix:/PATH" or "socks5://127.0.0.1:PORT"',
  }),
  to: z.optional(
    text({
      description: 'Where it leads: "PEER/SERVICE", the peer by name or id. Not with "socks5://".',
      accepts: written => parsePeerService(written) !== undefined,
      problem: 'is no peer and service',
      remedy: 'write "PEER/SERVICE", for example "laptop/ssh"',
    }),
  ),
})

export const configSchema = group('The configuration of a culvert agent.', {
  $schema: z.optional(
    text({
      description: 'For editors only.',
      problem: 'is no URL',
      remedy: 'write the URL of the schema or remove it',
    }),
  ),
  name: z.optional(name("What others see this machine as; the host's name if absent.")),
  stateDir: text({
    description: "Where the identity and other state is kept. Relative to this file's directory.",
    pattern: /^[^\0]{1,1024}$/,
    problem: 'is no directory',
    remedy: 'write "stateDir": "/var/lib/culvert"',
  }),
  controlSocket: z.optional(
    text({
      description:
        'Where commands reach the running agent. If absent: /run/culvert/agent.sock with the state directory /var/lib/culvert, else agent.sock in the state directory.',
      pattern: /^[^\0]{1,1024}$/,
      problem: 'is no path',
      remedy: 'write a path such as "/run/culvert/agent.sock"',
    }),
  ),
  relays: z._default(list('Relays, in order of preference.', relay), []),
  peers: z._default(named('The peers that this one trusts, by name.', peer), {}),
  listen: z.prefault(
    group('Ports of the agent itself. 0 = a random one, kept in the state directory.', {
      tcp: port('TCP port for direct connections.'),
      udp: port('UDP port for direct connections.'),
    }),
    {},
  ),
  nat: z.prefault(
    group('Getting through routers.', {
      portMapping: z._default(flag('Ask the router to open the ports, by PCP, NAT-PMP or UPnP.'), true),
      probeBudget: z.prefault(
        group('What looking for a way through routers may cost them.', {
          entries: z._default(
            integer({
              description: "Entries that probes may keep alive in a router's table at a time.",
              low: 0,
              high: 60_000,
            }),
            1_500,
          ),
          packetsPerS: z._default(
            integer({ description: 'Probe packets a second, to all peers together.', low: 1, high: 2_000 }),
            200,
          ),
        }),
        {},
      ),
      stun: z._default(
        list(
          "STUN servers besides the relays'.",
          text({
            description: '"HOST:PORT"',
            accepts: written => parseHostPort(written) !== undefined,
            problem: 'is no STUN server',
            remedy: 'write "HOST:PORT", for example "stun.example.org:3478"',
          }),
        ),
        [],
      ),
    }),
    {},
  ),
  lan: z.prefault(
    group('The local network.', {
      discovery: z._default(
        flag('Find peers on the local network without a relay, by mDNS, and be found by them and nobody else.'),
        true,
      ),
    }),
    {},
  ),
  dht: z.prefault(
    group(
      'The Mainline DHT, a public directory: it tells members and pinned peers, and nobody else, where this device is.',
      {
        enabled: z._default(
          flag('Tell the DHT where this device is, and look there for peers; some 1 MB a day.'),
          false,
        ),
        bootstrap: z._default(
          list(
            'Nodes of the DHT to begin with.',
            text({
              description: '"HOST:PORT"',
              accepts: written => parseHostPort(written) !== undefined,
              problem: 'is no node of the DHT',
              remedy: 'write "HOST:PORT", for example "router.bittorrent.com:6881"',
            }),
          ),
          ['router.bittorrent.com:6881', 'router.utorrent.com:6881', 'dht.transmissionbt.com:6881'],
        ),
      },
    ),
    {},
  ),
  relay: z.prefault(
    group('When relays carry traffic.', {
      graceMs: z._default(
        integer({
          description: 'How long a new stream waits for a direct path before it flows over the relay, in milliseconds.',
          low: 0,
          high: 60_000,
        }),
        1500,
      ),
    }),
    {},
  ),
  peerRelay: z.prefault(
    group('Carrying sealed bytes between peers that cannot reach each other.', {
      enabled: z._default(flag('Do so, for members of the same network, and for peers of this file.'), false),
      mbit: z._default(
        integer({ description: 'Megabits a second, all together, each byte counted once.', low: 1, high: 10_000 }),
        10,
      ),
      gbPerDay: z._default(
        integer({ description: 'Gigabytes in 24 hours, all together, since the start.', low: 1, high: 100_000 }),
        5,
      ),
      pipes: z._default(integer({ description: 'Pairs of peers at a time.', low: 1, high: 1_000 }), 16),
    }),
    {},
  ),
  services: z._default(named('What this machine offers to its peers, by name.', service), {}),
  forwards: z._default(list('Local listeners.', forward), []),
  log: z.prefault(
    group('What is logged.', {
      level: z._default(
        z
          .enum(LOG_LEVELS, { error: () => `is no log level${REMEDY_SEPARATOR}write ${LOG_LEVELS.join(', ')}` })
          .check(z.describe('The least severe lines that are written.')),
        'info',
      ),
    }),
    {},
  ),
})

function isRelayUrl(text: string): boolean {
  if (text.length > 1024 || !URL.canParse(text)) return false
  const url = new URL(text)
  const plain = url.username === '' && url.password === '' && !/[?#\s]/.test(text)
  return plain && url.hostname !== '' && /^(?:https?|wss?):\/\/[^/]/i.test(text)
}
