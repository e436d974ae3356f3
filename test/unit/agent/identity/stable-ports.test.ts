import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { decodePorts, openStablePorts } from '../../../../agent/identity/stable-ports.ts'
import { createLog } from '../../../../common/platform/log.ts'

async function scene(t: ExecutionContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-ports-'))
  t.teardown(() => rm(stateDir, { recursive: true }))
  const lines: string[] = []
  let next = 20_000
  const random = { bytes: (length: number) => new Uint8Array(length), integer: () => next++ }
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  return { stateDir, lines, open: () => openStablePorts(stateDir, { random, log }) }
}

test('the ports chosen on the first start are kept', async t => {
  const { open } = await scene(t)
  const first = await open()
  t.deepEqual([first.port('tcp'), first.port('udp')], [20_000, 20_001])
  const second = await open()
  t.deepEqual([second.port('tcp'), second.port('udp')], [20_000, 20_001])
})

test('a port in use is replaced, and the other one stays', async t => {
  const { open } = await scene(t)
  const ports = await open()
  t.is(await ports.replace('tcp'), 20_002)
  const again = await open()
  t.deepEqual([again.port('tcp'), again.port('udp')], [20_002, 20_001])
})

test('a damaged file is replaced with a warning', async t => {
  const { open, stateDir, lines } = await scene(t)
  await writeFile(join(stateDir, 'ports.json'), '{"tcp":1')
  t.is((await open()).port('tcp'), 20_000)
  t.regex(lines.join(''), /damaged/)
  t.deepEqual(decodePorts(await readFile(join(stateDir, 'ports.json'), 'utf8')), { tcp: 20_000, udp: 20_001 })
})

for (const text of [
  '',
  '{}',
  '{"tcp":19999,"udp":30000}\n',
  '{"tcp":30000,"udp":60000}\n',
  '{"tcp":30000,"udp":30000} x\n',
]) {
  test(`${JSON.stringify(text)} holds no ports`, t => t.is(decodePorts(text), undefined))
}
