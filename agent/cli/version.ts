import { isPackaged } from '../../common/platform/packed.ts'
import { COMMIT, VERSION } from '../version.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { lastUpdate, lastUpdateLine } from './last-update.ts'
import { line, printJson } from './output.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const { arch, versions } = process
  const home = args.value('home')
  if (args.flag('json')) {
    const update = await lastUpdate(home)
    printJson(io, { version: VERSION, node: versions.node, packaged: isPackaged, arch, commit: COMMIT, update })
    return EXIT_DONE
  }
  const made = isPackaged ? `packaged for linux-${arch}` : `not packaged, linux-${arch}`
  const commit = COMMIT === null ? '' : `, commit ${COMMIT}`
  io.out(line(`culvert ${VERSION} (${made}, Node ${versions.node}${commit})`))
  io.out(await lastUpdateLine(home))
  return EXIT_DONE
}
