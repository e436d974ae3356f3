import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress } from 'node:zlib'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { syncDirectory } from '../../common/platform/atomic-file.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  decodeReleaseHead,
  headLength,
  MAX_HEAD_BYTES,
  type Manifest,
  refused,
  type SignedManifest,
} from './release.ts'
import { compareVersions } from './version-order.ts'
import { PROGRAM, type VersionsDirectory } from './versions-directory.ts'

/** What releases are packed with takes 8 MiB to unpack; a file that wants more is none of ours. */
const WINDOW_LOG = 23
/** A small board on its first start of a new program. */
const FIRST_RUN_MS = 60_000
/** What a disk shall have left. */
const SPARE_BYTES = 16 * 1024 * 1024

/** What this machine takes. */
export interface Acceptance {
  readonly keys: readonly PeerId[]
  readonly arch: string
  /** The version that is here. */
  readonly version: string
  readonly allowDowngrade: boolean
}

/** A release whose head was read and found good; its program has not come yet. */
export interface OpenRelease {
  readonly manifest: SignedManifest
  /** Puts the program beside the others, ready to run and synced, whole or not at all. */
  install(versions: VersionsDirectory): Promise<void>
}

/** Reads the head of a release, and no more of it where it is not for us. */
export async function openRelease(source: AsyncGenerator<Buffer>, accept: Acceptance): Promise<OpenRelease> {
  const begun: Buffer[] = []
  for (let length: number | undefined; length === undefined; ) {
    const { value, done } = await source.next()
    if (done) throw refused(begun.length === 0 ? 'it is empty' : 'it is no culvert update')
    begun.push(value)
    length = headLength(Buffer.concat(begun).subarray(0, MAX_HEAD_BYTES))
  }
  const bytes = Buffer.concat(begun)
  const length = headLength(bytes.subarray(0, MAX_HEAD_BYTES)) ?? 0
  const manifest = decodeReleaseHead(bytes.subarray(0, length), accept.keys)
  checkFit(manifest, accept)
  const rest = async function* () {
    yield bytes.subarray(length)
    yield* source
  }
  return { manifest, install: versions => install(manifest, rest(), versions) }
}

function checkFit({ version, arch }: Manifest, accept: Acceptance): void {
  if (arch !== accept.arch) throw refused(`it is for ${arch}, and this machine is ${accept.arch}`)
  const order = compareVersions(version, accept.version)
  if (order < 0 && !accept.allowDowngrade) {
    throw refused(`${version} is older than ${accept.version}, which is here; --allow-downgrade takes it all the same`)
  }
}

async function install(manifest: Manifest, rest: AsyncIterable<Buffer>, versions: VersionsDirectory): Promise<void> {
  const { version, bytes, programBytes } = manifest
  const fresh = versions.directoryOf(`.${version}.new`)
  const place = versions.directoryOf(version)
  try {
    const { bavail, bsize } = await statfs(versions.home)
    if (bavail * bsize < bytes + programBytes + SPARE_BYTES) {
      const mb = Math.ceil((bytes + programBytes + SPARE_BYTES) / 1e6)
      throw new CulvertError('io', `${versions.home} has no room for the update: it takes ${mb} MB`)
    }
    await rm(fresh, { recursive: true, force: true })
    await mkdir(fresh, { mode: 0o755 })
    const packed = join(fresh, 'packed')
    await take(manifest, rest, packed)
    await unpack(manifest, packed, join(fresh, PROGRAM))
    await rm(packed)
    await syncDirectory(fresh)
    await runsAs(version, join(fresh, PROGRAM))
    await rm(place, { recursive: true, force: true })
    await rename(fresh, place)
    await syncDirectory(versions.directoryOf('.'))
  } catch (thrown) {
    await rm(fresh, { recursive: true, force: true })
    if (thrown instanceof CulvertError) throw thrown
    throw new CulvertError('io', `cannot install the update in ${versions.home}: ${reasonOf(thrown)}`, {
      cause: thrown,
    })
  }
}

/** Writes down what comes, and makes sure that it is what was signed. */
async function take({ bytes, sha256 }: Manifest, rest: AsyncIterable<Buffer>, path: string): Promise<void> {
  const hash = createHash('sha256')
  await using file = await open(path, 'wx', 0o600)
  let taken = 0
  for await (const chunk of rest) {
    taken += chunk.length
    if (taken > bytes) throw refused('more stands in it than was signed')
    hash.update(chunk)
    await file.writeFile(chunk)
  }
  if (taken < bytes) throw refused(`it was cut off after ${taken} of ${bytes} bytes`)
  if (hash.digest('hex') !== sha256) throw refused('its program is not the one that was signed')
}

async function unpack({ programBytes }: Manifest, packed: string, path: string): Promise<void> {
  await using source = await open(packed, 'r')
  await using file = await open(path, 'wx', 0o755)
  let written = 0
  const put = async (unpacked: AsyncIterable<Buffer>) => {
    for await (const chunk of unpacked) {
      written += chunk.length
      if (written > programBytes) throw refused('its program is larger than was signed')
      await file.writeFile(chunk)
    }
  }
  const unzip = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG } })
  try {
    await pipeline(source.createReadStream({ autoClose: false }), unzip, put)
  } catch (thrown) {
    if (!systemCodeOf(thrown)?.startsWith('Z')) throw thrown
    throw refused(`its program cannot be unpacked (${reasonOf(thrown)})`)
  }
  if (written < programBytes) throw refused('its program is smaller than was signed')
  await file.sync()
}

/** A program that does not even tell its version here need not be put on trial. */
async function runsAs(version: string, program: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const options = { timeout: FIRST_RUN_MS, killSignal: 'SIGKILL', env: { PATH: process.env.PATH } } as const
  execFile(program, ['version', '--json'], options, (error, out) => {
    if (error) reject(refused(`its program does not run on this machine (${error.message.trim().slice(0, 300)})`))
    else resolve(out)
  })
  const told = await promise
  if (!told.includes(JSON.stringify(version)))
    throw refused(`its program says that it is another version than ${version}`)
}
