import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { VERSION } from '../../agent/version.ts'
import { reasonOf } from '../../common/errors.ts'
import { makeArchive } from './archive.ts'
import { sha256, writeChecksums } from './checksums.ts'
import { makeDebianPackage } from './debian-package.ts'
import { makeExecutable } from './executable.ts'
import { HELP, type Options, optionsOf } from './options.ts'
import { packageFiles } from './package-files.ts'
import { type Architecture, PLATFORMS } from './platforms.ts'
import { sbomOf } from './sbom.ts'
import { sourceStateOf } from './source-state.ts'

// scripts/package: the one-file program, then what it is wrapped in.

const ROOT = join(import.meta.dirname, '../..')

function say(text: string): void {
  process.stderr.write(`package: ${text}\n`)
}

async function main(options: Options): Promise<void> {
  const out = resolve(options.out)
  await mkdir(out, { recursive: true })
  for (const arch of options.arch) {
    await mkdir(join(ROOT, 'dist'), { recursive: true })
    const folder = await mkdtemp(join(ROOT, 'dist/.package-'))
    try {
      await packageFor(arch, options, folder, out)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  await writeChecksums(out)
}

async function packageFor(arch: Architecture, options: Options, folder: string, out: string): Promise<void> {
  const { format: formats, quick } = options
  const platform = PLATFORMS[arch]
  const source = await sourceStateOf(ROOT, process.env)
  const { epoch } = source
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
  if (version !== VERSION) {
    throw new Error(`package.json says ${version}, and agent/version.ts ${VERSION}; write the new one into both`)
  }
  const name = `culvert-${version}-linux-${arch}`

  const work = join(folder, 'program')
  await mkdir(work)
  const executable = await makeExecutable(ROOT, work, platform, source, say)
  const sbom = sbomOf({
    version,
    source,
    sha256: sha256(await readFile(executable.file)),
    node: platform.node,
    nodeParts: process.versions,
    components: executable.components,
  })
  await writeFile(join(out, `${name}.cdx.json`), sbom)
  if (formats.includes('bin')) await copyFile(executable.file, join(out, name))

  const files = await packageFiles(ROOT, executable, { version, epoch, sbom })
  if (formats.includes('deb')) {
    const place = join(out, `culvert_${version}_${platform.debian}.deb`)
    await makeDebianPackage(ROOT, files, { version, epoch, platform, folder: join(folder, 'deb'), out: place, quick })
  }
  if (formats.includes('tar')) {
    const place = join(out, `${name}.tar.xz`)
    await makeArchive(ROOT, files, { name, epoch, folder: join(folder, 'tar'), out: place, quick })
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
