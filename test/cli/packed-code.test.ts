import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { compileFunction } from 'node:vm'
import test from 'ava'
import { BUNDLE, ensureBuilt } from '../scenario/built-bundle.ts'

const run = promisify(execFile)

test.before(ensureBuilt)

test('what V8 made of the bundle when it was built is taken by this Node', async t => {
  const packed = await readFile(join(dirname(BUNDLE), 'culvert.code'))
  const end = packed.readUInt32LE() + 4
  const parameters = ['exports', 'require', 'module', '__filename', '__dirname']
  const { cachedDataRejected } = compileFunction(packed.toString('latin1', 4, end), parameters, {
    cachedData: packed.subarray(end),
  }) as { readonly cachedDataRejected?: boolean }
  t.false(cachedDataRejected)
})

test('a Node that does not take it runs the bundle as well', async t => {
  const { stdout } = await run(process.execPath, ['--no-opt', BUNDLE, 'version'])
  t.regex(stdout, /^culvert \d/)
})

test('nothing is compiled for speed while the bundle begins', async t => {
  const { stdout } = await run(process.execPath, ['--trace-opt', BUNDLE, 'version'])
  t.regex(stdout, /^culvert \d/)
  t.notRegex(stdout, /compiling method/)
})
