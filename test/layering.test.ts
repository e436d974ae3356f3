import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'

const ROOT = join(import.meta.dirname, '..')

/** What both programs share, first to last. */
const COMMON = ['common/errors.ts', 'common/wire/', 'common/platform/']

/** The data flow of the agent, first to last. A file may import its own stage and the stages before it. */
const AGENT = [
  ...COMMON,
  'agent/config/',
  'agent/identity/',
  'agent/trust/',
  'agent/nat/',
  'agent/rendezvous/',
  'agent/path/',
  'agent/session/',
  'agent/service/',
  'agent/join/',
  'agent/control/',
  'agent/update/',
  'agent/', // agent.ts, running-agent.ts, main.ts and cli/, which put the stages together
]

const RELAY = [...COMMON, 'relay/']

/** The one place that knows of both: one binary has both commands. */
const EXCEPTION = 'agent/cli/relay.ts -> relay/main.ts'

interface Import {
  readonly from: string
  readonly to: string
}

/** Every relative import of a source text: static, re-exported, for its effect, or dynamic. */
function importsIn(file: string, source: string): readonly Import[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*['"`](\.[^'"`]+)['"`]/g
  return [...source.matchAll(pattern)].map(([, specifier = '']) => ({ from: file, to: join(dirname(file), specifier) }))
}

function stageOf(stages: readonly string[], file: string): number {
  return stages.findIndex(stage => file.startsWith(stage))
}

function isAllowed(stages: readonly string[], { from, to }: Import): boolean {
  if (`${from} -> ${to}` === EXCEPTION) return true
  const target = stageOf(stages, to)
  return target >= 0 && target <= stageOf(stages, from)
}

function offences(stages: readonly string[], pattern: string): readonly string[] {
  return globSync(pattern, { cwd: ROOT })
    .flatMap(file => importsIn(file, readFileSync(join(ROOT, file), 'utf8')))
    .filter(edge => !isAllowed(stages, edge))
    .map(({ from, to }) => `${from} -> ${to}`)
}

test('the agent is imported along its data flow, and never the relay', t => {
  t.deepEqual(offences(AGENT, 'agent/**/*.ts'), [])
})

test('the relay imports itself and what is common, and never the agent', t => {
  t.deepEqual(offences(RELAY, 'relay/**/*.ts'), [])
})

test('what is common imports neither of them', t => {
  t.deepEqual(offences(COMMON, 'common/**/*.ts'), [])
})

test('no source imports a test', t => {
  const sources = globSync('{agent,common,relay}/**/*.ts', { cwd: ROOT })
  t.true(sources.length > 20)
  const edges = sources.flatMap(file => importsIn(file, readFileSync(join(ROOT, file), 'utf8')))
  t.deepEqual(
    edges.filter(({ to }) => to.startsWith('test/') || to.startsWith('..')),
    [],
  )
})

test('the rule sees what it is there to see', t => {
  const source =
    "import a from './a.ts'\nexport { b } from '../nat/b.ts'\nimport '../c.ts'\nconst d = await import(\n  '../../relay/d.ts'\n)\n"
  const edges = importsIn('agent/path/x.ts', source)
  t.deepEqual(
    edges.map(edge => [edge.to, isAllowed(AGENT, edge)]),
    [
      ['agent/path/a.ts', true],
      ['agent/nat/b.ts', true],
      ['agent/c.ts', false],
      ['relay/d.ts', false],
    ],
  )
  const to = (from: string, target: string) => isAllowed(AGENT, { from, to: target })
  t.false(to('agent/nat/nat.ts', 'agent/path/path.ts'))
  t.false(to('agent/nat/nat.ts', 'agent/agent.ts'))
  t.false(to('common/wire/x.ts', 'agent/config/name.ts'))
  t.false(to('agent/cli/agent.ts', 'relay/main.ts'))
  t.false(to('agent/cli/relay.ts', 'relay/relay.ts'))
  t.true(to('agent/cli/relay.ts', 'relay/main.ts'))
  t.false(isAllowed(RELAY, { from: 'relay/relay.ts', to: 'agent/version.ts' }))
})
