// zod/mini as in the agent: zod's classic build is many times larger.
import { isIP, isIPv6 } from 'node:net'
import * as z from 'zod/mini'
import { LOG_LEVELS } from '../common/platform/log.ts'
import { type PeerId, parsePeerId } from '../common/wire/peer-id.ts'

/** Every option of the relay, each written once: form, default, limits, and the words of its fault. */

/** Problem and remedy travel through zod as one message. */
export const REMEDY_SEPARATOR = '; '

const says = (problem: string, remedy: string) => ({ error: () => `${problem}${REMEDY_SEPARATOR}${remedy}` })

function text(description: string, accepts: (value: string) => boolean, problem: string, remedy: string) {
  const words = says(problem, remedy)
  return z.string(words).check(z.refine(accepts, words), z.describe(description))
}

function integer(description: string, low: number, high: number) {
  const words = says(`is no whole number from ${low} to ${high}`, 'write such a number, without quotes')
  return z.int(words).check(z.gte(low, words), z.lte(high, words), z.describe(description))
}

/** `null` = without limit. */
function amount(description: string, fallback: number | null) {
  const words = says('is neither a number above 0 nor null', 'write such a number without quotes, or null for no limit')
  const inner = z.number(words).check(z.gt(0, words), z.lte(1e9, words))
  return z._default(z.nullable(inner).check(z.describe(description)), fallback)
}

function group<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  const error = (issue: { readonly code?: string }) =>
    issue.code === 'invalid_type' ? `is no object${REMEDY_SEPARATOR}write { ... }` : undefined
  return z.strictObject(shape, { error }).check(z.describe(description))
}

const path = (description: string) =>
  text(description, value => value !== '' && !value.includes('\0'), 'is no path', 'write the path of a file in quotes')

/** `HOST:PORT` with an IP address; the host of an IPv6 one stands in brackets. Port 0 = any free port. */
export function parseListen(value: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(value)
  if (!match) return undefined
  const address = match[1] ?? match[2] ?? ''
  const port = Number(match[3])
  const fits = match[1] === undefined ? isIP(address) === 4 : isIPv6(address)
  return fits && port <= 65535 ? { address, port } : undefined
}

const listen = (description: string, example: string) =>
  text(
    description,
    value => parseListen(value) !== undefined,
    'is no IP address with a port',
    `write for example "${example}"`,
  )

function isRelayUrl(value: string): boolean {
  const url = URL.parse(value)
  return (
    url !== null &&
    ['http:', 'https:'].includes(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.username === ''
  )
}

const peerId = z.pipe(
  text(
    'A peer id.',
    value => parsePeerId(value) !== undefined,
    'is no peer id',
    'write the 52 characters that "culvert id" prints',
  ),
  // The refinement above has seen that it is one; parsing again gives it its type.
  z.transform((value): PeerId => parsePeerId(value) ?? z.NEVER),
)

const stunAddress = text(
  'An IP address of the relay.',
  value => isIP(value) !== 0,
  'is no IP address',
  'write for example "203.0.113.5"',
)

const stun = group('STUN over UDP and TCP, on port and port + 1.', {
  addresses: z.optional(
    z.array(stunAddress, says('is no list', 'write ["203.0.113.5"]')).check(
      z.minLength(1, says('is empty', 'write one or two addresses, or leave it out')),
      z.maxLength(4, says('has more than four addresses', 'write up to two IPv4 and two IPv6 addresses')),
      z.refine(
        list =>
          new Set(list).size === list.length && [4, 6].every(v => list.filter(one => isIP(one) === v).length <= 2),
        says(
          'are not at most two different addresses of each IP version',
          'write up to two IPv4 and two IPv6 addresses',
        ),
      ),
      z.describe(
        'What agents are told to ask, up to two of each IP version. With two, NAT behaviour discovery (RFC 5780) is ' +
          'complete. Name both versions where the relay has both.',
      ),
    ),
  ),
  port: z._default(integer('The main port; the next one is used too. 0 = any.', 0, 65534), 3478),
})

const SHARED = 'With admit "anyone", all peers of one public address may send four times that together.'

const limits = group('What agents may use. Over a limit they are slowed down or refused, with the reason.', {
  pipesPerPeer: z._default(integer('Pipes of one peer at a time.', 1, 100_000), 16),
  mbitPerPeer: amount(`Megabits per second that one peer may send through its pipes. ${SHARED}`, 50),
  gbPerPeerPerDay: amount(`Gigabytes a day that one peer may send through its pipes. ${SHARED}`, 20),
  mbit: amount('Megabits per second of all pipes together.', null),
  gbPerDay: amount('Gigabytes a day of all pipes together.', null),
  pipes: z._default(integer('Pipes at a time.', 1, 1_000_000), 4096),
  connections: z._default(integer('Connections on the HTTP port at a time.', 1, 1_000_000), 16_000),
  connectionsPerAddress: z._default(
    integer('Of these, from one address (an IPv6 /64). Raise it behind a proxy.', 1, 1_000_000),
    256,
  ),
  handshakesPerSecond: z._default(integer('New control lines a second; one address may use half.', 1, 100_000), 500),
})

export const relaySchema = group('culvert relay', {
  $schema: z.optional(z.string().check(z.describe('Where the JSON Schema of this file is.'))),
  listen: z._default(listen('Where agents connect. [::] is IPv4 as well.', '0.0.0.0:443'), '[::]:8080'),
  tls: z.optional(
    group('Serve HTTPS. The files are loaded again when they change.', {
      cert: path('Certificate chain, PEM.'),
      key: path('Its private key, PEM.'),
    }),
  ),
  url: z.optional(
    text(
      'The public URL. When given, agents that dialled another name are refused.',
      isRelayUrl,
      'is no http(s) URL without a path',
      'write for example "https://relay.example.org"',
    ),
  ),
  stun: z.prefault(
    z
      .union([z.literal(false), stun], says('is neither false nor an object', 'write false or { "port": 3478 }'))
      .check(z.describe('STUN server, or false for none.')),
    {},
  ),
  admit: z._default(
    z
      .union(
        [z.literal('anyone'), z.array(peerId)],
        says('is neither "anyone" nor a list', 'write "anyone" or [ID, ...]'),
      )
      .check(
        z.describe(
          'Who may use the relay: "anyone", or a list of ids of networks, whose members all may, and of peers.',
        ),
      ),
    'anyone',
  ),
  limits: z.prefault(limits, {}),
  admin: z._default(
    z
      .nullable(listen('Where /healthz and /metrics are served; null = nowhere.', '127.0.0.1:9100'))
      .check(z.describe('Where /healthz and /metrics are served; null = nowhere.')),
    null,
  ),
  stateDir: z._default(
    path("Where the relay's own key is kept, and who was removed from the networks that it admits."),
    '/var/lib/culvert-relay',
  ),
  log: z.prefault(
    group('Logging, to stderr.', {
      level: z._default(
        z
          .enum(LOG_LEVELS, says('is no log level', `write one of ${LOG_LEVELS.join(', ')}`))
          .check(z.describe('The least severe level that is written.')),
        'info',
      ),
    }),
    {},
  ),
})

/** Where the schema is published; a config's `$schema` names it. */
export const RELAY_SCHEMA_FILE = 'schema/relay.schema.json'

/** The relay's config as JSON Schema (draft 2020-12), for editors and other programs. */
export function relayConfigSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(relaySchema, { io: 'input', target: 'draft-2020-12' })
  return { $schema, title: 'culvert relay configuration', ...schema }
}
