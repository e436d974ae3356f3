import { parseArgs } from 'node:util'
import { CulvertError } from '../../common/errors.ts'
import { nearest } from '../config/nearest.ts'
import type { Arguments, CommandSpec } from './command.ts'

/** Holds a command line against a command's spec; anything that is not in it is the error `usage`, with what is nearest. */
export function parseArguments(spec: CommandSpec, argv: readonly string[]): Arguments {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(spec.options).map(([name, { value }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string' },
      ]),
    ),
  })
  const operands: string[] = []
  const given = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind === 'option') takeOption(spec, token, given)
  }
  checkOperands(spec, operands)
  return {
    operand: index => operands[index] ?? '',
    flag: name => given.has(name),
    value: name => given.get(name)?.[0],
    values: name => given.get(name) ?? [],
  }
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
}

function takeOption(spec: CommandSpec, token: OptionToken, given: Map<string, string[]>): void {
  const { rawName, value } = token
  const option = Object.hasOwn(spec.options, token.name) ? spec.options[token.name] : undefined
  if (!option || !rawName.startsWith('--')) {
    const near = nearest(token.name, Object.keys(spec.options))
    throw usage(spec, `no option ${rawName}`, near === undefined ? '' : `did you mean --${near}?`)
  }
  if (option.value === undefined && value !== undefined) throw usage(spec, `no value after ${rawName}`)
  if (option.value !== undefined && (value === undefined || value === '')) {
    throw usage(spec, `${rawName} only with a value: ${rawName} ${option.value}`)
  }
  const before = given.get(token.name)
  if (before && !option.multiple && option.value !== undefined) throw usage(spec, `${rawName} only once`)
  given.set(token.name, [...(before ?? []), ...(value === undefined ? [] : [value])])
}

function checkOperands(spec: CommandSpec, operands: readonly string[]): void {
  const extra = operands[spec.operands.length]
  if (extra !== undefined) throw usage(spec, `no "${extra.slice(0, 80)}"`)
  const missing = spec.operands[operands.length]
  if (missing !== undefined && !missing.startsWith('[')) {
    throw new CulvertError('usage', `${missing} is missing; ${usageHint(spec)}`)
  }
}

function usage(spec: CommandSpec, refused: string, nearer = ''): CulvertError {
  const hint = nearer === '' ? usageHint(spec) : nearer
  return new CulvertError('usage', `"culvert ${spec.name}" takes ${refused}; ${hint}`)
}

function usageHint(spec: CommandSpec): string {
  return `see "culvert help ${spec.name}"`
}
