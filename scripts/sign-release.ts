import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { constants, zstdCompressSync } from 'node:zlib'
import { createFile } from '../agent/identity/create-file.ts'
import { decodeKeyFile, encodeKeyFile } from '../agent/identity/key-file.ts'
import { encodeReleaseHead } from '../agent/update/release.ts'
import { isVersion } from '../agent/update/version-order.ts'
import { reasonOf } from '../common/errors.ts'
import { generateKeyPair, type KeyPair } from '../common/platform/ed25519.ts'
import { PROGRAM_MARK } from './bundle.ts'

const USAGE = `usage: scripts/sign-release --make-key KEYFILE
       scripts/sign-release --key KEYFILE [--out DIRECTORY] PROGRAM...

Makes what "culvert update" takes: each PROGRAM, as scripts/package makes it (culvert-VERSION-linux-ARCH), packed and signed, as
culvert-VERSION-linux-ARCH.update in DIRECTORY (.). Version and kind of machine are those of the program. See docs/releases.md.
`

/** ELF header, e_machine. */
const MACHINES: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' }
/** Of 1 to 22: what 30 s on one core give. `install-release.ts` takes windows of 8 MiB. */
const LEVEL = 19
const WINDOW_LOG = 23

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parsed(args)
  if (values.help) process.stdout.write(USAGE)
  else if (values['make-key'] !== undefined && positionals.length === 0) await makeKey(values['make-key'])
  else if (values.key !== undefined && positionals.length > 0) {
    const key = await readKey(values.key)
    const programs = await Promise.all(positionals.map(readProgram))
    for (const program of programs) await sign(program, key, values.out)
  } else throw new Error('nothing to do; see scripts/sign-release --help')
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        'make-key': { type: 'string' },
        key: { type: 'string' },
        out: { type: 'string', default: '.' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new Error(`${reasonOf(cause)}; see scripts/sign-release --help`, { cause })
  }
}

async function makeKey(file: string): Promise<void> {
  const key = generateKeyPair()
  if (!(await createFile(file, encodeKeyFile(key), 0o600))) throw new Error(`${file} is already there and is kept`)
  process.stdout.write(`${key.id}\n`)
}

async function readKey(file: string): Promise<KeyPair> {
  const key = decodeKeyFile(await read(file, 'the key'))
  if (typeof key === 'string') throw new Error(`${file} ${key}; "scripts/sign-release --make-key FILE" makes a key`)
  return key
}

async function read(file: string, what: string): Promise<string> {
  return (await readBytes(file, what)).toString('utf8')
}

async function readBytes(file: string, what: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new Error(`${what} ${file} cannot be read: ${reasonOf(cause)}`, { cause })
  }
}

interface Program {
  readonly bytes: Buffer
  readonly version: string
  readonly arch: string
}

/** What is signed runs as root on every device: only what says by itself that it is a culvert, and which. */
async function readProgram(file: string): Promise<Program> {
  const bytes = await readBytes(file, 'the program')
  const arch = archOf(bytes)
  const at = bytes.indexOf(PROGRAM_MARK)
  const version = /^\S{1,64}/.exec(bytes.toString('latin1', at + PROGRAM_MARK.length, at + 100))?.[0]
  if (arch === undefined || at < 0 || version === undefined || !isVersion(version)) {
    throw new Error(`${file} is no culvert; give what scripts/package makes as culvert-VERSION-linux-ARCH`)
  }
  return { bytes, version, arch }
}

function archOf(program: Buffer): string | undefined {
  const isElf = program.length > 20 && program.readUInt32BE(0) === 0x7f454c46
  return isElf ? MACHINES[program.readUInt16LE(18)] : undefined
}

async function sign({ bytes, version, arch }: Program, key: KeyPair, directory: string): Promise<void> {
  const packed = zstdCompressSync(bytes, {
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  })
  const sha256 = createHash('sha256').update(packed).digest('hex')
  const manifest = { version, arch, bytes: packed.length, sha256, programBytes: bytes.length }
  const release = join(directory, `culvert-${version}-linux-${arch}.update`)
  await writeFile(release, Buffer.concat([encodeReleaseHead(manifest, key), packed]))
  process.stdout.write(`${release}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (thrown) {
  process.stderr.write(`sign-release: ${reasonOf(thrown)}\n`)
  process.exitCode = 1
}
