import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Names of everything a lab leaves on the machine: `culvert-lab-PID-START-ID`, with a suffix for each namespace.
 * START is when the owner started (/proc/PID/stat, field 22), for a pid alone may have been given to another since.
 */
export interface LabIdentity {
  readonly id: string
  readonly prefix: string
  readonly tempDir: string
}

const NAME = /^(culvert-lab-(\d+)-(\d+)-([0-9a-f]{6}))(?:-|$)/

export function newLabIdentity(): LabIdentity {
  const id = randomBytes(3).toString('hex')
  return identity(`culvert-lab-${process.pid}-${startOf(process.pid)}-${id}`, id)
}

/** Whose a namespace or directory is; null when it is not a lab's. */
export function ownerOf(name: string): (LabIdentity & { readonly alive: boolean }) | null {
  const [, prefix, pid, start, id] = NAME.exec(name) ?? []
  if (prefix === undefined || id === undefined) return null
  return { ...identity(prefix, id), alive: startOf(Number(pid)) === start }
}

function identity(prefix: string, id: string): LabIdentity {
  return { id, prefix, tempDir: join(tmpdir(), prefix) }
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The program's name comes before and may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}
