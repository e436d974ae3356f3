import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../scenario/built-bundle.ts'
import { sourceFiles, VERSION } from './packaged.ts'

const run = promisify(execFile)

/** Makes the one-file program of the same sources but for the version in them, as `file`. Takes some seconds. */
export async function packageAs(version: string, file: string): Promise<void> {
  // On the file system of the packages that it needs, which are not copied.
  const place = await mkdtemp(join(ROOT, 'dist/.another-'))
  try {
    for (const source of await sourceFiles()) {
      if (/^(test|bench)\//.test(source)) continue
      await mkdir(dirname(join(place, source)), { recursive: true })
      await copyFile(join(ROOT, source), join(place, source)).catch(() => undefined)
    }
    for (const source of ['package.json', 'agent/version.ts']) {
      const text = await readFile(join(place, source), 'utf8')
      await writeFile(join(place, source), text.replace(VERSION, version))
    }
    await run('cp', ['-al', join(ROOT, 'node_modules'), place])
    await symlink(join(ROOT, '.tools'), join(place, '.tools'))
    const made = ['scripts/packaging/main.ts', '--format', 'bin', '--out', 'out']
    await run(process.execPath, made, { cwd: place })
    await rename(join(place, 'out', `culvert-${version}-linux-${process.arch}`), file)
  } finally {
    await rm(place, { recursive: true })
  }
}
