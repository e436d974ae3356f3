import { openRelease } from '../../agent/update/install-release.ts'
import { VersionsDirectory } from '../../agent/update/versions-directory.ts'
import { RELEASE_KEY, releaseOf } from './test-release.ts'

// update-writer.ts HOME: one version is installed and kept, one is rolled back, one is kept in the place of the first;
// tells what has to run from then on.

const [home = ''] = process.argv.slice(2)
const versions = new VersionsDirectory(home)
const terms = { before: '0.1.0', seconds: 3_600, relay: true, peers: [], socket: '/x', restart: null }

async function* inParts(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 150) yield bytes.subarray(at, at + 150)
}

async function install(version: string): Promise<void> {
  const program = `#!/bin/sh\n[ "$1" != version ] || exec echo '{"version":"${version}"}'\n# ${version.repeat(50)}\necho "${version} $*"\n`
  const accept = { keys: [RELEASE_KEY.id], arch: process.arch, version: '0.1.0', allowDowngrade: false }
  const release = await openRelease(inParts(releaseOf(version, program)), accept)
  await versions.sweep()
  await release.install(versions)
  await versions.begin(terms, version)
  process.stdout.write(`trial ${version}\n`)
}

const outcome = (version: string, state: 'kept' | 'rolled-back') => ({
  version,
  before: '',
  state,
  reason: null,
  at: 0,
})

await versions.open()
await install('0.2.0')
await versions.keep('0.2.0')
process.stdout.write('runs 0.2.0\n')
await versions.tell(outcome('0.2.0', 'kept'))
await install('0.3.0')
await versions.tell(outcome('0.3.0', 'rolled-back'))
await versions.endTrial()
process.stdout.write('runs 0.2.0\n')
await install('0.4.0')
await versions.keep('0.4.0')
process.stdout.write('runs 0.4.0\n')
