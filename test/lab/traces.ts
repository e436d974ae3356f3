import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LabIdentity, ownerOf } from './lab-identity.ts'
import { TOOL_PATH } from './lab-process.ts'

const NAMESPACES = '/run/netns'
/** `ip netns exec` shows its programs the files in here instead of those in /etc. */
export const NAMESPACE_FILES = '/etc/netns'

/**
 * Removes all a lab has on the machine: processes in its namespaces, namespaces, files. Synchronous, so that it also
 * works while the process exits; what is gone already is no error.
 */
export function removeTraces({ prefix, tempDir }: LabIdentity): void {
  const names = namesIn(NAMESPACES).filter(name => name.startsWith(`${prefix}-`))
  killWithin(names)
  if (names.length > 0) {
    spawnSync('ip', ['-force', '-batch', '-'], {
      input: names.map(name => `netns del ${name}\n`).join(''),
      env: { PATH: TOOL_PATH },
    })
  }
  for (const name of namesIn(NAMESPACE_FILES)) {
    if (name.startsWith(`${prefix}-`)) rmSync(join(NAMESPACE_FILES, name), { recursive: true, force: true })
  }
  rmSync(tempDir, { recursive: true, force: true })
}

/** Removes the labs whose owner died without doing so; says whose (lab ids). */
export function removeLeftovers(): readonly string[] {
  const dead = new Map<string, LabIdentity>()
  for (const name of [NAMESPACES, NAMESPACE_FILES, tmpdir()].flatMap(namesIn)) {
    const owner = ownerOf(name)
    if (owner && !owner.alive) dead.set(owner.prefix, owner)
  }
  for (const identity of dead.values()) removeTraces(identity)
  return [...dead.values()].map(({ id }) => id)
}

/** Every process whose network namespace is one of these, found by the namespace's inode. */
function killWithin(names: readonly string[]): void {
  const wanted = new Set(names.map(name => inode(join(NAMESPACES, name))))
  for (const pid of namesIn('/proc').filter(name => /^\d+$/.test(name))) {
    const its = inode(`/proc/${pid}/ns/net`)
    if (its === null || !wanted.has(its) || Number(pid) === process.pid) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
}

/** Null for what is gone, and for what is not ours to look at: another's process, even to root in a container. */
function inode(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return null
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
}
