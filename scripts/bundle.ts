import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, type Metafile, type Plugin } from 'esbuild'
import { VERSION } from '../agent/version.ts'
import { componentsOf } from './packaging/components.ts'
import { noticesOf } from './packaging/notices.ts'

// bundle.ts DIRECTORY: bundles the agent and the relay into DIRECTORY/bundle.js, and the notices of what is in it into
// DIRECTORY/licenses.txt.

export const ROOT = join(import.meta.dirname, '..')
export const BUNDLE_FILE = 'bundle.js'
export const LICENSES_FILE = 'licenses.txt'
/** By which a packaged program tells its version without being run: `scripts/sign-release` takes no other file. */
export const PROGRAM_MARK = '//culvert-program '
const PACKED = './common/platform/packed.ts'
/**
 * The bundle defines each of its modules by a call of one function. Past 400 calls V8 compiles that for speed, after the
 * last of them, which brings 1.6 MB of compiler into memory for good. The microtask runs after all those calls.
 */
const CALM_START = `"use strict";{const{setFlagsFromString}=require("node:v8")
setFlagsFromString("--no-maglev");queueMicrotask(()=>setFlagsFromString("--maglev"))}`

export interface BundleOptions {
  /** Native addons come out of the program itself, not from node_modules. */
  readonly packed: boolean
  /** The commit it is made of, for `culvert version`. */
  readonly commit: string | null
}

/**
 * CommonJS, because an ES bundle loads every module of Node at once, which costs each command 50 ms. Native parts that ws
 * would use, and looks for at each start, we do not have. Without comments and indents, because V8 holds the text of what
 * it runs, and twice as much if one letter of it is not ASCII. Gives what is in it.
 */
export async function bundle(directory: string, { packed, commit }: BundleOptions): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['agent/main.ts'],
    outfile: join(directory, BUNDLE_FILE),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    legalComments: 'none',
    banner: { js: `${PROGRAM_MARK}${VERSION}\n${CALM_START}` },
    logLevel: 'warning',
    metafile: true,
    define: {
      'process.env.WS_NO_BUFFER_UTIL': 'true',
      'process.env.WS_NO_UTF_8_VALIDATE': 'true',
      CULVERT_COMMIT: JSON.stringify(commit),
    },
    ...(packed
      ? { plugins: [packedAddons] }
      : { external: ['node-datachannel'], alias: { 'require-addon': './common/platform/require-addon.cjs' } }),
  })
  return metafile
}

/** Puts the addons inside the program in place of the files that load them from node_modules. */
const packedAddons: Plugin = {
  name: 'packed addons',
  setup({ onLoad }) {
    const from = (code: string) => () => ({ contents: code, loader: 'js' as const, resolveDir: ROOT })
    onLoad(
      { filter: /\/node-datachannel\/dist\/esm\/lib\/node-datachannel\.mjs$/ },
      from(`import { packedAddon } from '${PACKED}'\nexport default packedAddon('node_datachannel.node')`),
    )
    onLoad(
      { filter: /\/udx-native\/binding\.js$/ },
      from(`module.exports = require('${PACKED}').packedAddon('udx-native.node')`),
    )
  },
}

if (import.meta.main) {
  const [directory = '.'] = process.argv.slice(2)
  const metafile = await bundle(directory, { packed: false, commit: null })
  const node = {
    version: process.versions.node,
    license: await readFile(join(ROOT, '.tools/node_modules', `node-linux-${process.arch}`, 'LICENSE'), 'utf8'),
  }
  const own = await readFile(join(ROOT, 'LICENSE'), 'utf8')
  await writeFile(join(directory, LICENSES_FILE), noticesOf(own, node, await componentsOf(ROOT, metafile)))
}
