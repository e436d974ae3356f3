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

/** Paths of all that is made for one kind of machine. */
export type Packaged = Readonly<Record<Format | 'sbom', string>>

export function namesOf(arch: Architecture): Packaged {
  const name = `culvert-${VERSION}-linux-${arch}`
  return {
    bin: name,
    deb: `culvert_${VERSION}_${PLATFORMS[arch].debian}.deb`,
    tar: `${name}.tar.xz`,
    sbom: `${name}.cdx.json`,
  }
}

/** The packages of the sources as they are now, made once, however many tests and processes ask for them. */
export async function packaged(arch: Architecture): Promise<Packaged> {
  const sources = await hashOfSources()
  const folder = join(ROOT, 'dist/tested', sources, arch)
  await mkdir(folder, { recursive: true })
  // Another process may be at it. SHA256SUMS comes last.
  const once = `[ ! -e "$1/SHA256SUMS" ] || exit 0
    find dist/tested -mindepth 1 -maxdepth 1 -type d ! -name "$3" -exec rm -rf {} +
    exec scripts/package --quick --arch "$2" --out "$1"`
  const args = [join(ROOT, 'dist/tested/lock'), 'sh', '-c', once, 'sh', folder, arch, sources]
  await run('flock', args, { cwd: ROOT })
  const { bin, deb, tar, sbom } = namesOf(arch)
  return { bin: join(folder, bin), deb: join(folder, deb), tar: join(folder, tar), sbom: join(folder, sbom) }
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
