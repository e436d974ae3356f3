import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time in hundredths of a second (USER_HZ), whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100

/** User and system time of a process so far, all threads, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = statusFields(pid)
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The process and all that it has started, and these, in no order. */
export function processTree(pid: number): readonly number[] {
  const tree = [pid]
  const others = readdirSync('/proc').map(Number).filter(Number.isInteger)
  for (const parent of tree) tree.push(...others.filter(other => parentOf(other) === parent))
  return tree
}

function parentOf(pid: number): number {
  try {
    return Number(statusFields(pid)[1])
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

/** Fields 3 and up of `/proc/PID/stat`: the program's name comes before and may hold spaces and brackets. */
function statusFields(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** In MB of a million bytes. */
export interface Memory {
  readonly rss: number
  /** Its own pages, and its share of those that it has in common with others. */
  readonly pss: number
  readonly privateDirty: number
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return {
    rss: megabytes(text, 'Rss'),
    pss: megabytes(text, 'Pss'),
    privateDirty: megabytes(text, 'Private_Dirty'),
  }
}

/** The most resident memory that the process ever had, in MB. */
export function peakRss(pid: number): number {
  return megabytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM')
}

function megabytes(text: string, name: string): number {
  const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text) ?? []
  return (Number(kibibytes) * 1024) / 1e6
}
