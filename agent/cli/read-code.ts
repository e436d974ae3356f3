import { addAbortSignal } from 'node:stream'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { CommandIo } from './command.ts'
import { asUsage } from './output.ts'

/** No code is a quarter as long. */
const MAX_CHARS = 4_096

/** The first line of standard input: what stands there is seen neither by `ps` nor in the history of a shell. */
export async function readCode({ err, signal }: Pick<CommandIo, 'err' | 'signal'>): Promise<string> {
  const { stdin } = process
  if (stdin.isTTY) err('The join code: ')
  let text = ''
  try {
    for await (const chunk of addAbortSignal(signal, stdin.setEncoding('utf8'))) {
      text += String(chunk)
      if (text.includes('\n') || text.length > MAX_CHARS) break
    }
  } catch (thrown) {
    if (signal.aborted) throw new CulvertError('aborted', 'the command was stopped', { cause: thrown })
    throw new CulvertError('io', `cannot read the join code: ${reasonOf(thrown)}`, { cause: thrown })
  }
  const [code] = text.slice(0, MAX_CHARS).split('\n')
  if (code?.trim()) return code.trim()
  throw asUsage('no join code came on standard input; it is what "culvert invite" prints on the other device')
}
