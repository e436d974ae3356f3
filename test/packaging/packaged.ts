import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Format } from '../../scripts/packaging/options.ts'
import { type Architecture, PLATFORMS } from '../../scripts/packaging/platforms.ts'
import { ROOT } from '../scenario/built-bundle.ts'

const run = promisify(execFile)

// What a packaged program writes about its coverage is of no use, and large.
delete process.env.NODE_V8_COVERAGE

export const { version: VERSION } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string
}

export interface Packaged {
  readonly folder: string
  /** The file of that format; the one-file program is beside it. */
  readonly file: string
  readonly sbom: string
}

export function namesOf(arch: Architecture): Readonly<Record<Format | 'sbom', string>> {
  const name = `culvert-${VERSION}-linux-${arch}`
  return {
    bin: name,
    deb: `culvert_${VERSION}_${PLATFORMS[arch].debian}.deb`,
    tar: `${name}.tar.xz`,
    sbom: `${name}.cdx.json`,
  }
}

/**
 * A package of the sources as they are now. Each is made once, however many tests and processes ask for it: it takes
 * most of a minute.
 */
export async function packaged(arch: Architecture, format: Format): Promise<Packaged> {
  const sources = await hashOfSources()
  const folder = join(ROOT, 'dist/tested', sources, format)
  const names = namesOf(arch)
  const file = join(folder, names[format])
  await mkdir(folder, { recursive: true })
  // Another process may be at it.
  const once = `[ ! -e "$1" ] || exit 0
    find dist/tested -mindepth 1 -maxdepth 1 -type d ! -name "$5" -exec rm -rf {} +
    exec scripts/package --arch "$2" --format bin --format "$3" --out "$4"`
  const args = [join(ROOT, 'dist/tested/lock'), 'sh', '-c', once, 'sh', file, arch, format, folder, sources]
  await run('flock', args, { cwd: ROOT })
  return { folder, file, sbom: join(folder, names.sbom) }
}

/** The files that git knows or would take in. */
export async function sourceFiles(): Promise<readonly string[]> {
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT })
  return stdout.split('\0').filter(file => file !== '')
}

async function hashOfSources(): Promise<string> {
  const hash = createHash('sha256')
  const { stdout: commit } = await run('git', ['rev-parse', 'HEAD'], { cwd: ROOT })
  hash.update(commit)
  for (const file of await sourceFiles()) {
    if (/^(test|bench|\.ci)\//.test(file)) continue
    try {
      hash.update(file).update(await readFile(join(ROOT, file)))
    } catch {
      // It is deleted, and not yet for git.
    }
  }
  return hash.digest('hex').slice(0, 16)
}
