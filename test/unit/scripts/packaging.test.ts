import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type Component, packagesOf, spdx } from '../../../scripts/packaging/components.ts'
import { noticesOf } from '../../../scripts/packaging/notices.ts'
import { integrityOf } from '../../../scripts/packaging/npm-package.ts'
import { optionsOf } from '../../../scripts/packaging/options.ts'
import { PLATFORMS } from '../../../scripts/packaging/platforms.ts'

const ROOT = join(import.meta.dirname, '../../..')

test('without options: this machine, every format', t => {
  t.deepEqual(optionsOf([], 'arm64', 'dist/package'), {
    arch: ['arm64'],
    format: ['bin', 'deb', 'tar'],
    out: 'dist/package',
  })
})

test('architectures and formats may be named more than once, and come in one order', t => {
  const options = optionsOf(
    ['--arch', 'arm64', '--arch', 'x64', '--format=tar', '--format=bin', '--out', 'o'],
    'x64',
    '',
  )
  t.deepEqual(options, { arch: ['x64', 'arm64'], format: ['bin', 'tar'], out: 'o' })
  t.is(optionsOf(['--help'], 'x64', ''), 'help')
})

test('what is not known is named, with what is', t => {
  t.throws(() => optionsOf(['--arch', 'armhf'], 'x64', ''), { message: /--arch armhf .* x64, arm64/ })
  t.throws(() => optionsOf(['--format', 'rpm'], 'x64', ''), { message: /--format rpm .* bin, deb, tar/ })
  t.throws(() => optionsOf([], 'riscv64', ''), { message: /--arch riscv64/ })
  t.throws(() => optionsOf(['--fast'], 'x64', ''), { message: /--fast.*--help/ })
})

test('a file belongs to the package that is installed deepest above it', t => {
  const installed = ['', 'node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/@c/d']
  const paths = [
    'agent/main.ts',
    'node_modules/a/node_modules/b/index.js',
    // A folder of that name in a package's own sources is no package.
    'node_modules/@c/d/node_modules/internal/index.js',
  ]
  t.deepEqual([...packagesOf(paths, installed)], ['node_modules/a/node_modules/b', 'node_modules/@c/d'])
  t.is(spdx('MPL 2.0'), 'MPL-2.0')
})

test('each licence text is printed once, with all whose it is', t => {
  const component: Component = {
    name: 'first',
    version: '1.0.0',
    license: 'MIT',
    source: 'https://first.example',
    text: 'same text\r\n',
    isPackage: true,
    within: null,
  }
  const second = { ...component, name: 'second', version: null, text: 'same text\n', within: 'first' }
  const page = noticesOf('our own', { version: '24.0.0', license: "Node's" }, [component, second])
  t.is(page.split('same text').length, 2)
  t.regex(page, /^first 1\.0\.0, MIT: https:\/\/first\.example\nsecond \(in first\), MIT:/m)
  t.regex(page, /our own.*Node\.js 24\.0\.0.*Node's\n\n$/s)
})

test('an archive is known by what npm calls its integrity', t => {
  t.is(
    integrityOf(Buffer.from('')),
    'sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==',
  )
})

test('packages are made of the same Node that the setup brings', t => {
  const setup = readFileSync(join(ROOT, 'scripts/setup'), 'utf8')
  for (const { arch, node } of Object.values(PLATFORMS)) {
    t.is(new RegExp(`^NODE_${arch.toUpperCase()}=(.*)$`, 'm').exec(setup)?.[1], node.version)
  }
})
