import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parseArguments } from '../../../../agent/cli/arguments.ts'
import { COMMANDS, findCommand, noSuchCommand } from '../../../../agent/cli/commands.ts'
import { exitCodeOf } from '../../../../agent/cli/exit-code.ts'
import { listenAddress } from '../../../../agent/cli/forward.ts'
import { commandHelp, overview } from '../../../../agent/cli/help-text.ts'
import { printError, printJson, stackLine } from '../../../../agent/cli/output.ts'
import { pingSummary } from '../../../../agent/cli/ping-summary.ts'
import { ConfigError } from '../../../../agent/config/load-config.ts'
import { VERSION } from '../../../../agent/version.ts'
import { CulvertError } from '../../../../common/errors.ts'

const parse = (line: string) => {
  const [name = '', ...argv] = line.split(' ')
  const spec = findCommand(name)
  if (!spec) throw new RangeError(`no command ${name}`)
  return parseArguments(spec, argv)
}

test('reads operands and options in any order', t => {
  const args = parse('ping --count 3 laptop --json --socket=/run/x.sock')
  t.is(args.operand(0), 'laptop')
  t.is(args.value('count'), '3')
  t.is(args.value('socket'), '/run/x.sock')
  t.true(args.flag('json'))
  t.false(args.flag('config'))
})

test('an option that may be repeated keeps every value', t => {
  t.deepEqual(parse('init --relay a --relay=b#c').values('relay'), ['a', 'b#c'])
})

const REFUSED: readonly (readonly [line: string, message: RegExp])[] = [
  ['status --jsn', /"culvert status" takes no option --jsn; did you mean --json\?/],
  ['status --zebra', /no option --zebra; see "culvert help status"/],
  ['status -j', /no option -j/],
  ['status --__proto__', /no option --__proto__/],
  ['status --json=yes', /no value after --json/],
  ['ping laptop --count', /--count only with a value: --count N/],
  ['ping laptop --count=', /--count only with a value/],
  ['ping laptop --count 1 --count 2', /--count only once/],
  ['ping', /PEER is missing; see "culvert help ping"/],
  ['ping a b', /no "b"; see "culvert help ping"/],
  ['connect', /PEER\/SERVICE is missing/],
  ['forward', /LISTEN is missing/],
]

for (const [line, message] of REFUSED) {
  test(`refuses "culvert ${line}"`, t => {
    t.throws(() => parse(line), { code: 'usage', message })
  })
}

test('a word that is no command is answered with the nearest', t => {
  t.is(noSuchCommand('stauts'), 'there is no command "stauts"; did you mean "culvert status"?')
  t.is(noSuchCommand('zebra'), 'there is no command "zebra"; see "culvert help"')
})

test('help fits a screen, and every command and option is in it', t => {
  const page = overview(COMMANDS)
  t.true(page.split('\n').length <= 30)
  for (const line of page.split('\n')) t.true(line.length <= 120, line)
  for (const command of COMMANDS) {
    t.regex(page, new RegExp(`^  ${command.name}\\b.*  ${command.summary.slice(0, 10)}`, 'm'))
    const help = commandHelp(command)
    for (const [option, { hidden }] of Object.entries(command.options)) {
      const line = new RegExp(`^  --${option}\\b`, 'm')
      if (hidden) t.notRegex(help, line)
      else t.regex(help, line)
    }
  }
})

test('exit codes tell the kinds of failure apart', t => {
  const codes = [
    'usage',
    'bad-config',
    'peer-offline',
    'peer-unreachable',
    'not-authorized',
    'agent-not-running',
    'stream-reset',
  ] as const
  t.deepEqual(codes.map(exitCodeOf), [2, 2, 3, 3, 4, 5, 1])
})

test('a listen address may be written short', t => {
  t.is(listenAddress('2222'), 'tcp://127.0.0.1:2222')
  t.is(listenAddress('0.0.0.0:2222'), 'tcp://0.0.0.0:2222')
  t.is(listenAddress('tcp://[::1]:22'), 'tcp://[::1]:22')
  t.is(listenAddress('unix:/run/x.sock'), 'unix:/run/x.sock')
  for (const bad of ['', '0', '65536', 'x', 'sctp://1.2.3.4:5', 'unix:x']) {
    t.throws(() => listenAddress(bad), { code: 'usage', message: /PORT, HOST:PORT, tcp/ }, bad)
  }
})

test('sums up pings with the median as one of them', t => {
  const path = { kind: 'tcp', transport: 'tcp', how: 'lan', local: null, remote: '10.0.0.2:1', via: null } as const
  const answers = [9, 1.234, 3, 5].map((rttMs, i) => ({ seq: i + 1, rttMs, path }))
  const replies = [...answers, { seq: 5, lost: 'no answer' }]
  t.deepEqual(pingSummary('laptop', replies), {
    peer: 'laptop',
    count: 5,
    received: 4,
    lossPct: 20,
    rttMs: { min: 1.23, avg: 4.56, p50: 3, max: 9 },
    path,
    pathChanges: 0,
    replies,
  })
})

test('counts how often the path changed between two answers, whatever was lost between them', t => {
  const direct = {
    kind: 'tcp',
    transport: 'tcp',
    how: 'lan',
    local: '10.0.0.1:2',
    remote: '10.0.0.2:1',
    via: null,
  } as const
  const relay = { kind: 'relay', transport: 'pipe', how: 'relay', local: null, remote: null, via: null } as const
  const paths = [relay, direct, { ...direct, local: '10.0.0.1:3' }, relay]
  const replies = paths.flatMap((path, i) => [
    { seq: 2 * i + 1, rttMs: 1, path },
    { seq: 2 * i + 2, lost: 'no answer' },
  ])
  t.is(pingSummary('laptop', replies).pathChanges, 2)
})

test('errors go to standard error, and with --json to standard output as well', t => {
  const out: string[] = []
  const err: string[] = []
  const io = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text), env: {} }
  printError(io, new CulvertError('peer-offline', 'laptop is at no relay'), false)
  t.deepEqual([out, err], [[], ['culvert: laptop is at no relay\n']])
  printError(io, new CulvertError('peer-offline', 'laptop is at no relay'), true)
  t.deepEqual(JSON.parse(out.join('')) as unknown, {
    error: { code: 'peer-offline', message: 'laptop is at no relay' },
  })
})

test('faults of a config begin with the file, and come one by one with --json', t => {
  const out: string[] = []
  const err: string[] = []
  const io = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text), env: {} }
  const faults = [{ place: 'name', value: '7', problem: 'is no name', remedy: 'write one' }]
  printError(io, new ConfigError('/x.json', faults), true)
  t.is(err.join(''), '/x.json: name: 7 is no name; write one\n')
  t.like(JSON.parse(out.join('')) as object, { error: { code: 'bad-config', faults } })
})

test('the reason of a peer or a relay is one line, and drives no terminal', t => {
  const err: string[] = []
  const out: string[] = []
  const io = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text), env: {} }
  const reason = '\u001b]0;owned\u0007\u001b[2J\u061c no\nculvert: all \u200fgood\u009b1m'
  for (const code of ['service-unknown', 'relay-refused', 'internal'] as const) {
    printError(io, new CulvertError(code, reason), true)
  }
  t.is(err.join(''), 'culvert:  ]0;owned [2J  no culvert: all  good 1m\n'.repeat(3))
  t.notRegex(out.join('').replaceAll('\n', ''), /[\p{Cc}\u061c\u200f]/u)
  t.like(JSON.parse(out[0] ?? '') as object, { error: { message: reason } })
  t.notRegex(stackLine(new CulvertError('internal', reason)), /[\p{Cc}\u061c\u200f]/u)
})

test('faults of a config keep their lines, and only those', t => {
  const err: string[] = []
  const io = { out: () => undefined, err: (text: string) => void err.push(text), env: {} }
  const fault = { place: 'name', value: '"\u202e"', problem: 'is no name', remedy: 'write one' }
  printError(io, new ConfigError('/x.json', [fault, { ...fault, place: 'stateDir' }]), false)
  t.is(err.join(''), '/x.json: name: " " is no name; write one\n/x.json: stateDir: " " is no name; write one\n')
})

test('a document loses nothing of a text that would drive a terminal', t => {
  const out: string[] = []
  printJson({ out: text => void out.push(text) }, { name: 'é \u009b2J \u{1f600} \u202e' })
  t.deepEqual(out, ['{"name":"é \\u009b2J \u{1f600} \\u202e"}\n'])
})

test('a stack is told on one line', t => {
  t.regex(stackLine(new TypeError('x\ny')), /^TypeError: x < y < at .* < at [^\n]*$/)
  t.is(stackLine('text'), 'text')
})

test('the version is the one of the package', t => {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8')) as {
    version: string
  }
  t.is(VERSION, manifest.version)
})
