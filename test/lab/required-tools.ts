import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { LabError } from './lab-error.ts'
import { TOOL_PATH } from './lab-process.ts'

/** Debian packages by the program the lab needs of them. */
const PACKAGES = {
  ip: ['iproute2'],
  tc: ['iproute2'],
  nft: ['nftables'],
  conntrack: ['conntrack'],
  miniupnpd: ['miniupnpd', 'miniupnpd-nftables'],
  gcc: ['gcc', 'libc6-dev'],
  strace: ['strace'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Tool = keyof typeof PACKAGES

/** Throws `missing-tool` with the command that installs what is missing, by Debian package. */
export function requireTools(tools: readonly Tool[], path: string = TOOL_PATH): void {
  const missing = tools.filter(tool => !path.split(':').some(folder => isProgram(join(folder, tool))))
  if (missing.length === 0) return
  const packages = [...new Set(missing.flatMap(tool => [...PACKAGES[tool]]))].join(' ')
  throw new LabError('missing-tool', `the lab needs ${missing.join(', ')}; on Debian: apt-get install ${packages}`)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
