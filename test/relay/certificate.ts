import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** A directory that goes with the test. */
export function testDir(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'culvert-relay-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Writes a self-signed certificate for this name, with its key. */
export function makeCertificate(name: string, cert: string, key: string): void {
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...make, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' })
}
