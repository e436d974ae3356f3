import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** CPU of a relay in the middle of one bulk stream, user and system together. */
export interface RelayCpu {
  readonly secondsPerGb: number
  readonly mbitPerSecond: number
}

export interface RelaySpliceResult {
  /** `veth` when namespaces could be made (root), else `loopback`. */
  readonly line: 'veth' | 'loopback'
  readonly fast: RelayCpu
  readonly stream: RelayCpu
  /** Baseline: `a.pipe(b); b.pipe(a)`. */
  readonly pipe: RelayCpu
  /** Baseline: haproxy in TCP mode; undefined where it is not installed. */
  readonly haproxy: RelayCpu | undefined
}

type Mode = 'fast' | 'stream' | 'pipe' | 'haproxy'

const ROLE = join(import.meta.dirname, 'relay-splice-role.ts')
const PORT = 7101
const SINK_PORT = 7102

/** One place where processes run, with the addresses that they use for each other. */
interface Line {
  readonly kind: 'veth' | 'loopback'
  readonly relayForSource: string
  readonly relayForSink: string
  readonly sink: string
  run(place: 'source' | 'relay' | 'sink', command: readonly string[]): ChildProcess
  remove(): void
}

/** Runs every mode `rounds` times, in turn, so that a noisy minute hurts all of them alike. */
export async function measureRelaySplice(gigabytes = 3, rounds = 2): Promise<RelaySpliceResult> {
  const line = process.getuid?.() === 0 ? vethLine() : loopbackLine()
  const modes: Mode[] = ['fast', 'stream', 'pipe', ...(hasHaproxy() ? (['haproxy'] as const) : [])]
  const sums = new Map<Mode, { cpu: number; bytes: number; seconds: number }>()
  try {
    for (let round = 0; round < rounds; round++) {
      for (const mode of modes) {
        const sum = sums.get(mode) ?? { cpu: 0, bytes: 0, seconds: 0 }
        const one = await measure(line, mode, gigabytes * 1e9)
        sums.set(mode, { cpu: sum.cpu + one.cpu, bytes: sum.bytes + one.bytes, seconds: sum.seconds + one.seconds })
      }
    }
  } finally {
    line.remove()
  }
  const cpuOf = (mode: Mode): RelayCpu | undefined => {
    const sum = sums.get(mode)
    return sum && { secondsPerGb: sum.cpu / (sum.bytes / 1e9), mbitPerSecond: (sum.bytes * 8) / 1e6 / sum.seconds }
  }
  const [fast, stream, pipe] = [cpuOf('fast'), cpuOf('stream'), cpuOf('pipe')]
  if (!fast || !stream || !pipe) throw new Error('no round was run')
  return { line: line.kind, fast, stream, pipe, haproxy: cpuOf('haproxy') }
}

async function measure(line: Line, mode: Mode, bytes: number) {
  const dir = mkdtempSync(join(tmpdir(), 'culvert-bench-'))
  const children: ChildProcess[] = []
  const run = (place: Parameters<Line['run']>[0], command: readonly string[]) => {
    const child = line.run(place, command)
    children.push(child)
    return child
  }
  const node = (...args: readonly (string | number)[]) => [process.execPath, ROLE, ...args.map(String)]
  try {
    let relay: ChildProcess
    let sink: ChildProcess
    if (mode === 'haproxy') {
      sink = run('sink', node('sink', line.sink, SINK_PORT, 'listen'))
      await lineOf(sink)
      relay = run('relay', ['haproxy', '-f', haproxyConfig(dir, line.sink)])
      await untilListening(relay, PORT)
    } else {
      relay = run('relay', node('relay', mode, PORT))
      await lineOf(relay)
      sink = run('sink', node('sink', line.relayForSink, PORT))
      await lineOf(sink)
    }
    const before = cpuSeconds(relay)
    const startedAt = performance.now()
    const counted = lineOf(sink)
    run('source', node('source', line.relayForSource, PORT, bytes))
    const received = Number(await counted)
    const seconds = (performance.now() - startedAt) / 1000
    const cpu = cpuSeconds(relay) - before
    if (received !== bytes) throw new Error(`${mode}: ${received} of ${bytes} bytes arrived`)
    return { cpu, bytes, seconds }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map(child => (child.exitCode ?? child.signalCode) === null && once(child, 'exit')))
    rmSync(dir, { recursive: true, force: true })
  }
}

/** The next line that a child prints. */
async function lineOf(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('child without output')
  const ended = once(child, 'exit').then(() => undefined)
  const said: readonly unknown[] | undefined = await Promise.race([once(child.stdout, 'data'), ended])
  if (!said) throw new Error(`child ended: ${child.spawnargs.join(' ')}`)
  return String(said[0]).trim()
}

/** User and system time from /proc, in whole clock ticks of 10 ms. */
function cpuSeconds(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function hasHaproxy(): boolean {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function haproxyConfig(dir: string, sink: string): string {
  const file = join(dir, 'haproxy.cfg')
  const timeouts = 'timeout connect 5s\n  timeout client 60s\n  timeout server 60s'
  writeFileSync(
    file,
    `global\n  nbthread 1\ndefaults\n  mode tcp\n  option splice-auto\n  ${timeouts}\nlisten bench\n  bind *:${PORT}\n  server sink ${sink}:${SINK_PORT}\n`,
  )
  return file
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  while (child.exitCode === null) {
    const table = ['tcp', 'tcp6'].map(name => readFileSync(`/proc/${child.pid}/net/${name}`, 'utf8')).join('')
    if (table.split('\n').some(row => row.includes(hex) && row.includes(' 0A '))) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error('haproxy ended')
}

function start(command: readonly string[]): ChildProcess {
  const [program = '', ...args] = command
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
}

function loopbackLine(): Line {
  const here = '127.0.0.1'
  const addresses = { relayForSource: here, relayForSink: here, sink: here }
  return { kind: 'loopback', ...addresses, run: (_place, command) => start(command), remove: () => undefined }
}

/** Three namespaces in a row: source, relay, sink. */
function vethLine(): Line {
  const tag = `cb${process.pid.toString(36)}`
  const nameOf = (place: string) => `${tag}-${place}`
  const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const places = ['source', 'relay', 'sink']
  const remove = () => {
    for (const place of places) {
      try {
        ip('netns', 'del', nameOf(place))
      } catch (thrown) {
        process.stderr.write(`${String(thrown)}\n`)
      }
    }
  }
  try {
    for (const place of places) {
      ip('netns', 'add', nameOf(place))
      ip('-n', nameOf(place), 'link', 'set', 'lo', 'up')
    }
    for (const [place, net] of [
      ['source', '10.211.1'],
      ['sink', '10.211.2'],
    ] as const) {
      const inner = `${tag}${place.slice(0, 2)}`
      ip('link', 'add', inner, 'netns', nameOf(place), 'type', 'veth', 'peer', 'name', inner, 'netns', nameOf('relay'))
      for (const [where, host] of [
        [place, 2],
        ['relay', 1],
      ] as const) {
        ip('-n', nameOf(where), 'address', 'add', `${net}.${host}/24`, 'dev', inner)
        ip('-n', nameOf(where), 'link', 'set', inner, 'up')
      }
    }
  } catch (thrown) {
    remove()
    throw thrown
  }
  return {
    kind: 'veth',
    relayForSource: '10.211.1.1',
    relayForSink: '10.211.2.1',
    sink: '10.211.2.2',
    // `ip netns exec` replaces itself by the command, so the child's pid is the relay's.
    run: (place, command) => start(['ip', 'netns', 'exec', nameOf(place), ...command]),
    remove,
  }
}
