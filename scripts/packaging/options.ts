import { parseArgs } from 'node:util'
import { reasonOf } from '../../common/errors.ts'
import { ARCHITECTURES, type Architecture } from './platforms.ts'

export const FORMATS = ['bin', 'deb', 'tar'] as const
export type Format = (typeof FORMATS)[number]

export interface Options {
  readonly arch: readonly Architecture[]
  readonly format: readonly Format[]
  readonly out: string
  readonly quick: boolean
}

export const HELP = `usage: scripts/package [--arch x64|arm64]... [--format bin|deb|tar]... [--out DIRECTORY] [--quick]

Makes packages of culvert for Linux with glibc: the program as one file, a Debian package, an archive with install.sh;
beside them what is inside (CycloneDX) and SHA256SUMS. Two builds of one commit are the same, byte for byte.

  --arch    the machine it is for; may be given twice (this machine's)
  --format  bin, deb or tar; may be given more than once (all)
  --out     where they go (dist/package)
  --quick   to try something out: packed in a tenth of the time, and a fifth larger
`

/** What the command line asks for; `help` if it asks for that. Throws what is wrong with it, in words. */
export function optionsOf(args: readonly string[], host: string, out: string): Options | 'help' {
  const { values } = parsed(args)
  if (values.help) return 'help'
  return {
    arch: each('arch', values.arch ?? [host], ARCHITECTURES),
    format: each('format', values.format ?? FORMATS, FORMATS),
    out: values.out ?? out,
    quick: values.quick ?? false,
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        arch: { type: 'string', multiple: true },
        format: { type: 'string', multiple: true },
        out: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new Error(`${reasonOf(cause)}; see scripts/package --help`, { cause })
  }
}

function each<Value extends string>(
  option: string,
  given: readonly string[],
  known: readonly Value[],
): readonly Value[] {
  for (const value of given) {
    if (!known.some(other => other === value)) {
      throw new Error(`--${option} ${value} is not known; it is one of ${known.join(', ')}`)
    }
  }
  return known.filter(value => given.includes(value))
}
