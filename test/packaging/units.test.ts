import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'

const SYSTEMD = join(import.meta.dirname, '../../systemd')
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0
const analyzeTest = hasAnalyze ? test : test.skip

function unitLines(unit: string): readonly (readonly [string, string])[] {
  return readFileSync(join(SYSTEMD, unit), 'utf8')
    .split('\n')
    .filter(line => /^[A-Z][A-Za-z]+=/.test(line))
    .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
}

/** Tenths, as systemd counts them. */
const EXPOSURE = { 'culvert-agent.service': 15, 'culvert-relay.service': 20 }

for (const [unit, tenths] of Object.entries(EXPOSURE)) {
  analyzeTest(`${unit} is exposed to at most ${tenths / 10} of 10`, t => {
    const args = ['security', '--offline=true', `--threshold=${tenths}`, '--no-pager', join(SYSTEMD, unit)]
    t.notThrows(() => execFileSync('systemd-analyze', args, { stdio: 'pipe' }))
  })
}

for (const unit of globSync('*.service', { cwd: SYSTEMD })) {
  analyzeTest(`systemd understands every line of ${unit}, but for what needs a newer one`, t => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join(SYSTEMD, unit)], { encoding: 'utf8' })
    const complaints = stderr.split('\n').filter(line => line.includes(unit))
    const known = /Unknown key(?: name)? '(?:RestartSteps|RestartMaxDelaySec)'|\/usr\/bin\/culvert is not executable/
    t.deepEqual(
      complaints.filter(line => !known.test(line)),
      [],
    )
  })
}

test('the reason of each line of a unit stands in systemd/README.md', t => {
  const readme = readFileSync(join(SYSTEMD, 'README.md'), 'utf8')
  const obvious = ['Description', 'Documentation', 'ExecStart', 'WantedBy']
  const unexplained = globSync('*.service', { cwd: SYSTEMD })
    .flatMap(unit => unitLines(unit))
    .filter(([key]) => !obvious.includes(key) && !readme.includes(`\`${key}=`))
  t.deepEqual(unexplained, [])
})

test('the agent has no capabilities, and the relay one', t => {
  const of = (unit: string) =>
    unitLines(unit)
      .filter(([key]) => /Capabilit/.test(key))
      .map(([, value]) => value)
  t.deepEqual(of('culvert-agent.service'), ['', ''])
  t.deepEqual(of('culvert-relay.service'), ['CAP_NET_BIND_SERVICE', 'CAP_NET_BIND_SERVICE'])
})
