import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { loadLibrary } from '../../common/platform/nameless-library.ts'
import { libraryPlaces } from '../../common/platform/packed.ts'
import { rootTest } from '../lab/root-test.ts'

const ADDON = join(import.meta.dirname, `../../node_modules/udx-native/prebuilds/linux-${process.arch}/udx-native.node`)
const run = promisify(execFile)

test('an addon is loaded from its bytes, and leaves no file behind', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-library-'))
  t.teardown(() => rm(place, { recursive: true }))
  const library = loadLibrary('udx-native.node', await readFile(ADDON), ['/nowhere', place])
  t.true(Object.hasOwn(library as object, 'udx_napi_init'))
  t.deepEqual(await readdir(place), [])
})

test('where nothing can be loaded from, each place is named with what it says, and a remedy', async t => {
  const error = t.throws(() => loadLibrary('some.node', Buffer.from('no library'), ['/nowhere', tmpdir()]))
  t.regex(error.message, /^some\.node .* \/nowhere \(ENOENT.*\), \S+ \(.*too short.*\); let TMPDIR name/)
})

rootTest('a place where nothing may be run is passed over', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-library-'))
  t.teardown(() => rm(place, { recursive: true }))
  for (const name of ['noexec', 'exec']) await mkdir(join(place, name))
  await run('mount', ['-t', 'tmpfs', '-o', 'noexec', 'none', join(place, 'noexec')])
  // Lazily, because the C library leaves the part mapped that it got.
  t.teardown(() => run('umount', ['--lazy', join(place, 'noexec')]))
  const bytes = await readFile(ADDON)
  t.throws(() => loadLibrary('udx-native.node', bytes, [join(place, 'noexec')]), { message: /noexec \(failed to map/ })
  t.truthy(loadLibrary('udx-native.node', bytes, [join(place, 'noexec'), join(place, 'exec')]))
})

test('memory comes before disk, and what systemd gives before what all share', t => {
  const places = libraryPlaces({ RUNTIME_DIRECTORY: '/run/culvert:/run/other', STATE_DIRECTORY: '/var/lib/culvert' })
  t.deepEqual(places.slice(0, 3), ['/run/culvert', '/run/other', '/dev/shm'])
  t.is(places.at(-1), '/var/lib/culvert')
  t.is(new Set(places).size, places.length)
})
