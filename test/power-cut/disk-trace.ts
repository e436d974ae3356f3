import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabProcess } from '../lab/lab-process.ts'
import { requireTools } from '../lab/required-tools.ts'
import type { DiskOp } from './disk-model.ts'

const CALLS =
  'openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat,truncate,ftruncate'

/** Runs a program and resolves with what it asked of the disk under `base`, and with what it said meanwhile. */
export async function traceDisk(
  base: string,
  command: string,
  args: readonly string[],
): Promise<{ readonly ops: readonly DiskOp[]; readonly code: number | null; readonly stderr: string }> {
  requireTools(['strace'])
  const log = join(base, '..', 'trace')
  const options = ['-f', '-y', '-xx', '-s', '1000000', '-o', log, '-e', `trace=${CALLS}`]
  // Its threads must not be asked to make several calls in one (io_uring), which no trace shows.
  const env = { UV_USE_IO_URING: '0', NODE_V8_COVERAGE: '' }
  const running = new LabProcess('strace', [...options, command, ...args], { env })
  running.child.stdin.end()
  const { code, stderr } = await running.exited
  return { ops: opsIn(await readFile(log, 'utf8'), base), code, stderr }
}

/** The lines of a trace as operations; a call that another thread interrupted counts when it returned. */
export function opsIn(trace: string, base: string): readonly DiskOp[] {
  const begun = new Map<string, string>()
  return trace.split('\n').flatMap(line => {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, rest.slice(0, -'<unfinished ...>'.length))
      return []
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    const whole = resumed ? `${begun.get(thread) ?? ''}${resumed[1]}` : rest
    const call = /^(\w+)\((.*)\) += (-?\d+)/s.exec(whole)
    if (!call || Number(call[3]) < 0) return []
    const [, name = '', args = ''] = call
    return opOf(name, args, base) ?? []
  })
}

function opOf(call: string, args: string, base: string): DiskOp | undefined {
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => unhex(hex))
  const descriptor = unhex(/^\d+<((?:\\x[0-9a-f]{2})*)>/.exec(args)?.[1] ?? '').toString()
  const paths = strings.map(String)
  const [first = '', second = ''] = paths
  const inside = (path: string) => path === base || path.startsWith(`${base}/`)
  switch (call) {
    case 'openat':
      if (!inside(first) || !args.includes('O_CREAT')) return undefined
      if (!args.includes('O_EXCL')) throw new RangeError(`${first} is opened in place`)
      return { kind: 'create', path: first }
    case 'write':
      if (args.startsWith('1<')) return { kind: 'told', text: first }
      return inside(descriptor) ? { kind: 'write', path: descriptor, bytes: strings[0] ?? Buffer.of() } : undefined
    case 'fsync':
    case 'fdatasync':
      return inside(descriptor) ? { kind: 'sync', path: descriptor } : undefined
    case 'mkdir':
    case 'mkdirat':
      return inside(first) ? { kind: 'make-directory', path: first } : undefined
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      return inside(first) ? { kind: 'remove', path: first } : undefined
    case 'rename':
    case 'renameat':
    case 'renameat2':
      return inside(second) ? { kind: 'rename', from: first, path: second } : undefined
    case 'link':
    case 'linkat':
      return inside(second) ? { kind: 'link', from: first, path: second } : undefined
    case 'symlink':
    case 'symlinkat':
      return inside(second) ? { kind: 'symlink', target: first, path: second } : undefined
    default:
      if (inside(first) || inside(descriptor)) throw new RangeError(`the model does not know ${call}`)
      return undefined
  }
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}
