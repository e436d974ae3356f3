import { packedText } from '../../common/platform/packed.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'

export async function run(_args: Arguments, io: CommandIo): Promise<number> {
  io.out(await packedText('licenses.txt'))
  return EXIT_DONE
}
