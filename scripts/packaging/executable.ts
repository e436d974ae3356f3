import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BUNDLE_FILE, bundle, LICENSES_FILE } from '../bundle.ts'
import { type Component, componentsOf } from './components.ts'
import { stripElf } from './elf-strip.ts'
import { emulatorOf } from './emulator.ts'
import { noticesOf } from './notices.ts'
import { lockedPackage, unpack } from './npm-package.ts'
import type { Platform } from './platforms.ts'
import { runProgram } from './run-program.ts'
import type { SourceState } from './source-state.ts'

export interface Executable {
  readonly file: string
  /** What `culvert licenses` prints. */
  readonly notices: string
  readonly components: readonly Component[]
}

/** Node looks for a resource of this name, once this text in it was marked (its documentation, "Single executable applications"). */
const RESOURCE = 'NODE_SEA_BLOB'
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
const ADDONS = ['node_datachannel.node', 'udx-native.node'] as const

/**
 * Makes the one-file program in `folder`: Node without its symbols, and in it the bundle, the native addons and the
 * licences. Stripped before: afterwards it would not run.
 */
export async function makeExecutable(
  root: string,
  folder: string,
  platform: Platform,
  source: SourceState,
  say: (text: string) => void,
): Promise<Executable> {
  const inFolder = (name: string) => join(folder, name)
  if (process.versions.node !== platform.node.version) {
    throw new Error(
      `this is Node ${process.versions.node}, and packages are made by the ${platform.node.version} that they hold; scripts/setup brings it`,
    )
  }
  await unpack(root, platform.node, ['bin/node', 'LICENSE'], inFolder('node'))
  await unpack(root, await lockedPackage(root, platform.datachannel), ['node_datachannel.node'], folder)
  await copyFile(join(root, platform.udx), inFolder('udx-native.node'))
  await stripFile(inFolder('node/bin/node'), inFolder('culvert'))
  await chmod(inFolder('culvert'), 0o755)
  for (const addon of ADDONS) await stripFile(inFolder(addon), inFolder(addon))

  const metafile = await bundle(folder, { packed: true, commit: source.commit })
  const components = await componentsOf(root, metafile)
  const node = { version: platform.node.version, license: await readFile(inFolder('node/LICENSE'), 'utf8') }
  const notices = noticesOf(await readFile(join(root, 'LICENSE'), 'utf8'), node, components)
  await writeFile(inFolder(LICENSES_FILE), notices)

  await makeBlob(folder, platform, say)
  const postject = join(root, 'node_modules/postject/dist/cli.js')
  await runProgram([process.execPath, postject, 'culvert', RESOURCE, 'culvert.blob', '--sentinel-fuse', FUSE], {
    cwd: folder,
  })
  return { file: inFolder('culvert'), notices, components }
}

async function stripFile(from: string, to: string): Promise<void> {
  await writeFile(to, stripElf(await readFile(from)))
}

/** What Node finds inside of itself: the bundle with what V8 made of it, and the other files by name. */
async function makeBlob(folder: string, { arch }: Platform, say: (text: string) => void): Promise<void> {
  const emulator = await emulatorOf(arch)
  if (!emulator.command) {
    say(
      `without V8's code cache, so commands start slower: it takes Node for ${arch} to make it, which runs here with ${emulator.remedy}`,
    )
  }
  const config = {
    main: BUNDLE_FILE,
    output: 'culvert.blob',
    disableExperimentalSEAWarning: true,
    useCodeCache: emulator.command !== undefined,
    // What NODE_OPTIONS says is meant for other programs.
    execArgvExtension: 'none',
    assets: Object.fromEntries([...ADDONS, LICENSES_FILE].map(name => [name, name])),
  }
  // Relative names only: they are written into the blob.
  await writeFile(join(folder, 'sea.json'), JSON.stringify(config))
  const node = emulator.command ? [...emulator.command, './culvert'] : [process.execPath]
  // V8 draws the seed of its hash tables, whose order shows in its cache.
  await runProgram([...node, '--random-seed=1', '--experimental-sea-config', 'sea.json'], {
    cwd: folder,
    env: { NODE_OPTIONS: '' },
  })
}
