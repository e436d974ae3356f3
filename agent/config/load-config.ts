import { open } from 'node:fs/promises'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { handingToUs } from '../../common/platform/service-reader.ts'
import type { AgentConfig } from './agent-config.ts'
import { type ConfigFault, formatFault } from './config-fault.ts'
import { serviceOf } from './installed-service.ts'
import { type ConfigResult, parseConfig } from './parse-config.ts'
import { serviceFaults } from './service-faults.ts'

/** Some fifty times the largest sensible config. */
const CONFIG_BYTES_LIMIT = 256 * 1024

/** A bad config, with each fault apart for `--json`; the message has one line per fault, each with the file's name. */
export class ConfigError extends CulvertError {
  readonly faults: readonly ConfigFault[]

  constructor(path: string, faults: readonly ConfigFault[], options?: { readonly cause?: unknown }) {
    super('bad-config', faults.map(fault => `${path}: ${formatFault(fault)}`).join('\n'), options)
    this.faults = faults
  }
}

/** Reads and validates a config file. A file that cannot be read is a fault like any other. */
export async function readConfig(path: string): Promise<ConfigResult> {
  const file = await readConfigText(path)
  if ('problem' in file) {
    const fault = { place: 'the file', value: undefined, problem: file.problem, remedy: file.remedy }
    return { ok: false, faults: [fault], warnings: [] }
  }
  const result = parseConfig(file.text, path)
  // Other programs' users may read who our peers are, but whoever writes here decides whom we let in.
  if ((file.mode & 0o002) === 0) return result
  const value = `mode ${(file.mode & 0o777).toString(8)}`
  const remedy = `run: chmod o-w ${path}`
  const warning = { place: 'the file', value, problem: 'lets every user of this machine change it', remedy }
  return { ...result, warnings: [warning, ...result.warnings] }
}

/** The same, and whether the service of this machine that runs with the file could read it. */
export async function checkConfig(path: string): Promise<ConfigResult> {
  const result = await readConfig(path)
  const service = serviceOf(path)
  const faults = service ? await serviceFaults(service.user, [['the file', path]]) : []
  if (faults.length === 0) return result
  return { ok: false, faults: result.ok ? faults : [...faults, ...result.faults], warnings: result.warnings }
}

/** The config in a file with its warnings; throws a ConfigError that names every fault. */
export async function loadConfig(
  path: string,
): Promise<{ readonly config: AgentConfig; readonly warnings: readonly ConfigFault[] }> {
  const result = await readConfig(path)
  if (!result.ok) throw new ConfigError(path, result.faults)
  return result
}

type FileText = { readonly text: string; readonly mode: number } | { readonly problem: string; readonly remedy: string }

/** The text of a config file with its mode, or why it cannot be had. */
export async function readConfigText(path: string): Promise<FileText> {
  try {
    await using file = await open(path, 'r')
    const stat = await file.stat()
    if (!stat.isFile()) return { problem: 'is no regular file', remedy: 'name a config file with --config FILE' }
    if (stat.size > CONFIG_BYTES_LIMIT) {
      return { problem: `has more than ${CONFIG_BYTES_LIMIT} bytes`, remedy: 'name a config file with --config FILE' }
    }
    const bytes = await file.readFile()
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { text, mode: stat.mode }
  } catch (thrown) {
    return { problem: problemOf(thrown), remedy: remedyOf(thrown, path) }
  }
}

function problemOf(thrown: unknown): string {
  const code = systemCodeOf(thrown)
  if (code === 'ENOENT') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
  if (thrown instanceof TypeError) return 'is not UTF-8 text'
  return `cannot be read (${reasonOf(thrown)})`
}

function remedyOf(thrown: unknown, path: string): string {
  const code = systemCodeOf(thrown)
  if (code === 'ENOENT') {
    const init = `culvert init --config ${path} --relay 'URL#ID'`
    return `make it with "${init}", or name another with --config FILE`
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return handingToUs(path) ?? 'run the command as its owner, for example with sudo'
  }
  if (thrown instanceof TypeError) return 'save it as UTF-8'
  return 'name a config file with --config FILE'
}
