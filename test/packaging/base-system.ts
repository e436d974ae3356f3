import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { exec, execOk } from '../lab/command.ts'
import { type ProcessTable, TOOL_PATH } from '../lab/lab-process.ts'
import { labRefusal } from '../lab/lab-rights.ts'
import { ROOT } from '../scenario/built-bundle.ts'

/** What is used of a machine that boots, beside what every Debian has. */
const INCLUDED = ['systemd', 'systemd-sysv', 'sudo', 'nftables', 'xz-utils']
const NEEDED = ['systemd-nspawn', 'debootstrap', 'dpkg-deb']

/** Why machines cannot be booted here, or undefined. */
export function machineRefusal(tools: readonly string[] = []): string | undefined {
  const missing = [...NEEDED, ...tools].filter(tool => !TOOL_PATH.split(':').some(path => existsSync(join(path, tool))))
  if (missing.length > 0) return `${missing.join(', ')} not found`
  return labRefusal() ?? (process.arch === 'x64' ? undefined : 'the package that is tested is for x86-64')
}

/** A serial test that boots Debian, visibly skipped where that cannot be done. */
export function machineTest(tools: readonly string[] = []) {
  return machineRefusal(tools) === undefined ? test.serial : test.serial.skip
}

/** The folder of a small Debian of this machine's own release and mirror; made once, and kept beside our tools. */
export async function baseSystem(processes: ProcessTable): Promise<string> {
  const { suite, mirror } = await debian(processes)
  const kept = join(ROOT, '.tools', `debian-${suite}-${INCLUDED.length}`)
  if (existsSync(kept)) return kept
  const made = await mkdtemp(join(ROOT, '.tools/debian-new-'))
  const args = ['--variant=minbase', `--include=${INCLUDED.join(',')}`, suite, made, mirror]
  await execOk(processes, 'debootstrap', args, { timeoutMs: 600_000 })
  // It becomes a machine's `/`, and mkdtemp lets nobody else in.
  await chmod(made, 0o755)
  await rm(join(made, 'var/cache/apt/archives'), { recursive: true })
  // Another test run may have been faster.
  if (existsSync(kept)) await rm(made, { recursive: true })
  else await rename(made, kept)
  return kept
}

async function debian(processes: ProcessTable): Promise<{ readonly suite: string; readonly mirror: string }> {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable'
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages', 'Component: main']
  const { stdout } = await exec(processes, 'apt-get', ['indextargets', ...format])
  const mirror = stdout
    .split('\n')
    .find(line => line.startsWith(`${suite} `))
    ?.slice(suite.length + 1)
  return { suite, mirror: mirror ?? 'http://deb.debian.org/debian' }
}
