import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { reasonOf } from '../../common/errors.ts'
import { makeExecutable } from './executable.ts'
import { HELP, type Options, optionsOf } from './options.ts'
import { type Architecture, PLATFORMS } from './platforms.ts'
import { sourceStateOf } from './source-state.ts'

// scripts/package: what goes into a package is in executable.ts.

const ROOT = join(import.meta.dirname, '../..')

function say(text: string): void {
  process.stderr.write(`package: ${text}\n`)
}

async function main(options: Options): Promise<void> {
  const out = resolve(options.out)
  await mkdir(out, { recursive: true })
  for (const arch of options.arch) await packageFor(arch, options, out)
}

async function packageFor(arch: Architecture, options: Options, out: string): Promise<void> {
  const platform = PLATFORMS[arch]
  const source = await sourceStateOf(ROOT, process.env)
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
  await mkdir(join(ROOT, 'dist'), { recursive: true })
  const folder = await mkdtemp(join(ROOT, 'dist/.package-'))
  try {
    const name = `culvert-${version}-linux-${arch}`
    const executable = await makeExecutable(ROOT, folder, platform, source, say)
    if (options.format.includes('bin')) await copyFile(executable.file, join(out, name))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

try {
  const options = optionsOf(process.argv.slice(2), process.arch, join(ROOT, 'dist/package'))
  if (options === 'help') process.stdout.write(HELP)
  else await main(options)
} catch (thrown) {
  say(reasonOf(thrown))
  process.exitCode = 1
}
