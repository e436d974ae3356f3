import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { reasonOf } from '../../common/errors.ts'

const execute = promisify(execFile)

/** With these, whoever builds would change what xz, tar and dpkg-deb make. */
const HABITS = /^(?:XZ_DEFAULTS|XZ_OPT|TAR_OPTIONS|GZIP|DPKG_DEB_.*)$/

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program of the build to its end; what it said is in the error if it fails. Gives its standard output. */
export async function runProgram(command: readonly string[], { cwd, env = {} }: RunOptions): Promise<string> {
  const [program = '', ...args] = command
  try {
    // Nothing may depend on where and by whom it is built.
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !HABITS.test(name)))
    const { stdout } = await execute(program, args, { cwd, env: { ...inherited, LC_ALL: 'C', TZ: 'UTC', ...env } })
    return stdout
  } catch (thrown) {
    const { stderr = '', stdout = '', code } = thrown as { stderr?: string; stdout?: string; code?: unknown }
    if (code === 'ENOENT') throw new MissingProgram(program)
    const words = `${stderr}${stdout}`.trim()
    throw new Error(`"${command.join(' ')}" failed: ${words === '' ? reasonOf(thrown) : words}`, { cause: thrown })
  }
}

/** The Debian packages that have what a build may need beside npm. */
const DEBIAN: Readonly<Record<string, string>> = { 'dpkg-deb': 'dpkg', tar: 'tar', xz: 'xz-utils', git: 'git' }

export class MissingProgram extends Error {
  constructor(program: string) {
    const where = DEBIAN[program]
    super(`${program} was not found${where === undefined ? '' : ` (Debian: apt-get install ${where})`}`)
    this.name = 'MissingProgram'
  }
}
