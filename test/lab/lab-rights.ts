import { spawnSync } from 'node:child_process'
import { TOOL_PATH } from './lab-process.ts'

let known: { readonly refusal: string | undefined } | undefined

/** Why this process cannot make network namespaces and set them up, or undefined; the answer is kept. */
export function labRefusal(): string | undefined {
  known ??= { refusal: probe() }
  return known.refusal
}

function probe(): string | undefined {
  if (process.getuid?.() !== 0) return 'the lab makes network namespaces; run it as root'
  // A container's root often has neither the right nor a /proc/sys to write to.
  const tried = ['--net', '--mount', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']
  const { status, stderr, error } = spawnSync('unshare', tried, { encoding: 'utf8', env: { PATH: TOOL_PATH } })
  if (status === 0) return undefined
  const reason = (error?.message ?? stderr).trim()
  return `the lab makes network namespaces, and root may not do so here (${reason}); run it outside of the container`
}
