import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes SHA256SUMS over every package in the folder, as `sha256sum --check` reads it. */
export async function writeChecksums(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter(name => /^culvert[-_]/.test(name)).sort()
  const lines = await Promise.all(names.map(async name => `${sha256(await readFile(join(folder, name)))}  ${name}\n`))
  await writeFile(join(folder, 'SHA256SUMS'), lines.join(''))
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
