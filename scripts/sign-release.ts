import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { constants, zstdCompressSync } from 'node:zlib'
import { createFile } from '../agent/identity/create-file.ts'
import { decodeKeyFile, encodeKeyFile } from '../agent/identity/key-file.ts'
import { encodeReleaseHead } from '../agent/update/release.ts'
import { isVersion } from '../agent/update/version-order.ts'
import { VERSION } from '../agent/version.ts'
import { generateKeyPair, type KeyPair } from '../common/platform/ed25519.ts'

const USAGE = `usage: scripts/sign-release --make-key KEYFILE
       scripts/sign-release --key KEYFILE [--version VERSION] [--arch x64|arm64] PROGRAM...`

/** ELF header, e_machine. */
const MACHINES: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' }
/** Of 1 to 22: what 30 s on one core give. `install-release.ts` takes windows of 8 MiB. */
const LEVEL = 19
const WINDOW_LOG = 23

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'make-key': { type: 'string' },
    key: { type: 'string' },
    version: { type: 'string', default: VERSION },
    arch: { type: 'string' },
  },
})

if (values['make-key'] !== undefined) await makeKey(values['make-key'])
else if (values.key !== undefined && positionals.length > 0 && isVersion(values.version)) {
  const key = await readKey(values.key)
  for (const program of positionals) await sign(program, key)
} else {
  process.stderr.write(`${USAGE}\n`)
  process.exitCode = 2
}

async function makeKey(file: string): Promise<void> {
  const key = generateKeyPair()
  if (!(await createFile(file, encodeKeyFile(key), 0o600))) throw new Error(`${file} is already there and is kept`)
  process.stdout.write(`${key.id}\n`)
}

async function readKey(file: string): Promise<KeyPair> {
  const key = decodeKeyFile(await readFile(file, 'utf8'))
  if (typeof key === 'string') throw new Error(`${file} ${key}`)
  return key
}

async function sign(file: string, key: KeyPair): Promise<void> {
  const program = await readFile(file)
  const arch = values.arch ?? archOf(program)
  if (arch === undefined) throw new Error(`${file} is no program for x64 or arm64; name its --arch`)
  const packed = zstdCompressSync(program, {
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  })
  const sha256 = createHash('sha256').update(packed).digest('hex')
  const { version } = values
  const manifest = { version, arch, bytes: packed.length, sha256, programBytes: program.length }
  const release = join(dirname(file), `culvert-${version}-linux-${arch}.update`)
  await writeFile(release, Buffer.concat([encodeReleaseHead(manifest, key), packed]))
  process.stdout.write(`${release}\n`)
}

function archOf(program: Buffer): string | undefined {
  const isElf = program.length > 20 && program.readUInt32BE(0) === 0x7f454c46
  return isElf ? MACHINES[program.readUInt16LE(18)] : undefined
}
