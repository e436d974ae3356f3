import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** What a program asked of a disk, in order. */
export type DiskOp =
  | EntryOp
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly bytes: Buffer }
  | { readonly kind: 'told'; readonly text: string }

/** What changes a directory. */
type EntryOp =
  | { readonly kind: 'create' | 'remove' | 'make-directory'; readonly path: string }
  | { readonly kind: 'rename' | 'link'; readonly from: string; readonly path: string }
  | { readonly kind: 'symlink'; readonly target: string; readonly path: string }

/** `content` of a file, `target` of a symbolic link, or what is in a directory. */
export type DiskNode =
  | { readonly content: Buffer }
  | { readonly target: string }
  | { readonly entries: ReadonlyMap<string, DiskNode> }

interface File {
  readonly kind: 'file'
  parts: Buffer[]
}
interface Directory {
  readonly kind: 'directory'
  readonly entries: Map<string, Inode>
}
type Inode = File | Directory | { readonly kind: 'link'; readonly target: string }

/** One change that a power cut may lose until it is synced. */
interface Change {
  readonly of: File | Directory
  readonly apply: (on: ReadonlyMap<Inode, Inode>) => void
  synced: boolean
}

/**
 * What a power cut after `ops` leaves of a directory: what was synced, and of the rest whatever `survives` says, change by
 * change. No file system keeps less (fsync(2)), and most keep more.
 */
export function afterPowerCut(
  base: string,
  before: DiskNode,
  ops: readonly DiskOp[],
  survives: (change: number) => boolean,
): DiskNode {
  const disk = new Disk(base, before)
  for (const op of ops) disk.do(op)
  return disk.left(survives)
}

class Disk {
  readonly #base: string
  readonly #root: Directory
  readonly #before: Map<Inode, Inode> = new Map()
  readonly #changes: Change[] = []

  constructor(base: string, before: DiskNode) {
    this.#base = base
    const root = this.#grow(before)
    if (root.kind !== 'directory') throw new TypeError('the base is no directory')
    this.#root = root
  }

  do(op: DiskOp): void {
    if (op.kind === 'told') return
    if (op.kind === 'sync') {
      const of = this.#find(op.path)
      for (const change of this.#changes) if (change.of === of) change.synced = true
      return
    }
    if (op.kind === 'write') {
      const file = this.#find(op.path)
      if (file?.kind !== 'file') throw new RangeError(`a write to ${op.path}, which is no file`)
      this.#change(file, on => void (on.get(file) as File).parts.push(op.bytes))
      return
    }
    const directory = this.#find(dirname(op.path))
    if (directory?.kind !== 'directory') throw new RangeError(`${op.path} has no directory`)
    const change = this.#entryChange(op)
    change(directory.entries)
    // One step, also a rename, for every file system with a journal.
    this.#change(directory, on => change((on.get(directory) as Directory).entries))
  }

  #entryChange(op: EntryOp): (entries: Map<string, Inode>) => void {
    const name = basename(op.path)
    if (op.kind === 'remove') return entries => void entries.delete(name)
    const inode = this.#inodeOf(op)
    const from = op.kind === 'rename' ? basename(op.from) : undefined
    return entries => {
      entries.set(name, inode)
      if (from !== undefined) entries.delete(from)
    }
  }

  #inodeOf(op: EntryOp): Inode {
    if (op.kind === 'symlink') return this.#fresh({ kind: 'link', target: op.target })
    if (op.kind === 'make-directory') return this.#fresh({ kind: 'directory', entries: new Map() })
    if (op.kind !== 'rename' && op.kind !== 'link') return this.#fresh({ kind: 'file', parts: [] })
    const inode = this.#find(op.from)
    if (!inode) throw new RangeError(`${op.from} is not there`)
    if (dirname(op.from) !== dirname(op.path)) throw new RangeError(`${op.from} changes its directory`)
    return inode
  }

  left(survives: (change: number) => boolean): DiskNode {
    const on = new Map<Inode, Inode>()
    for (const [inode, before] of this.#before) on.set(inode, copyOf(before))
    for (const [index, { apply, synced }] of this.#changes.entries()) if (synced || survives(index)) apply(on)
    return shown(this.#root, on)
  }

  #change(of: File | Directory, apply: Change['apply']): void {
    this.#changes.push({ of, apply, synced: false })
  }

  #fresh(inode: Inode): Inode {
    this.#before.set(inode, copyOf(inode))
    return inode
  }

  #grow(node: DiskNode): Inode {
    if ('content' in node) return this.#fresh({ kind: 'file', parts: [node.content] })
    if ('target' in node) return this.#fresh({ kind: 'link', target: node.target })
    const entries = new Map([...node.entries].map(([name, child]) => [name, this.#grow(child)]))
    return this.#fresh({ kind: 'directory', entries })
  }

  #find(path: string): Inode | undefined {
    if (path === this.#base) return this.#root
    const directory = this.#find(dirname(path))
    return directory?.kind === 'directory' ? directory.entries.get(basename(path)) : undefined
  }
}

function copyOf(inode: Inode): Inode {
  if (inode.kind === 'file') return { kind: 'file', parts: [...inode.parts] }
  return inode.kind === 'directory' ? { kind: 'directory', entries: new Map(inode.entries) } : inode
}

function shown(inode: Inode, on: ReadonlyMap<Inode, Inode>): DiskNode {
  const now = on.get(inode) ?? inode
  if (now.kind === 'file') return { content: Buffer.concat(now.parts) }
  if (now.kind === 'link') return { target: now.target }
  return { entries: new Map([...now.entries].map(([name, child]) => [name, shown(child, on)])) }
}

export async function readDisk(path: string): Promise<DiskNode> {
  const entries = new Map<string, DiskNode>()
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) entries.set(entry.name, await readDisk(child))
    else if (entry.isSymbolicLink()) entries.set(entry.name, { target: await readlink(child) })
    else entries.set(entry.name, { content: await readFile(child) })
  }
  return { entries }
}

export async function writeDisk(path: string, node: DiskNode, mode = 0o600): Promise<void> {
  if ('content' in node) return writeFile(path, node.content, { mode })
  if ('target' in node) return symlink(node.target, path)
  await mkdir(path, { recursive: true, mode: 0o700 })
  for (const [name, child] of node.entries) await writeDisk(join(path, name), child, mode)
}
