import { readFile, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { reasonOf } from '../../common/errors.ts'
import { makeDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { eraseFile } from '../../common/platform/erase-file.ts'
import { createLog, type Log, logStyle } from '../../common/platform/log.ts'
import { decodeInvite } from '../../common/wire/invite-code.ts'
import { mergeBootFile } from '../config/boot-file.ts'
import { type ConfigFault, formatFault } from '../config/config-fault.ts'
import { ConfigError, readConfigText } from '../config/load-config.ts'
import { ownIdFaults } from '../config/parse-config.ts'
import { exists } from '../identity/exists.ts'
import { loadOrCreateIdentity, readIdentity } from '../identity/identity.ts'
import { keepPendingJoin } from '../join/pending-join.ts'
import { readNetwork } from '../trust/network-store.ts'
import { faultNote, takenNote } from './boot-notes.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage } from './output.ts'

/** Where Raspberry Pi OS mounts the partition that other computers can read: since 2023, and before. */
const BOOT_FILES = ['/boot/firmware/culvert.json', '/boot/culvert.json']

const CONFIG_MODE = 0o640

const IN_ANOTHER: ConfigFault = {
  place: 'join',
  value: undefined,
  problem: 'is of another network than the one that this device belongs to',
  remedy: 'remove it',
}

/**
 * Takes in the part of a config that the owner of a device put on its boot partition, once. The order is by what a power
 * cut may leave: first the config is whole in its place, then the file goes; in between it is taken in again, which changes
 * nothing.
 */
export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const log = createLog({ level: 'info', ...logStyle(io.env, systemClock), write: io.err })
  const file = args.value('file') ?? (await firstThere(BOOT_FILES))
  const path = resolve(configPathOf(args, io))
  if (file === undefined) {
    log.info(`nothing to take in: there is no ${BOOT_FILES.join(' and no ')}`)
    return EXIT_DONE
  }
  if (!(await exists(file))) throw asUsage(`${file} does not exist`)
  const read = await readConfigText(file)
  if (!('text' in read)) return refuse(file, file, [asFault(read)], log)
  // The power was cut while it was erased.
  if (/^\0+$/.test(read.text)) {
    await eraseFile(file)
    return EXIT_DONE
  }
  const there = (await exists(path)) ? await readConfigText(path) : undefined
  if (there && !('text' in there)) return refuse(file, path, [asFault(there)], log)
  const present = there?.text
  const merged = mergeBootFile(read.text, present, path)
  if (!merged.ok) return refuse(file, merged.file === 'part' ? file : path, merged.faults, log)
  const { config, text, warnings, join: code } = merged
  const own = await readIdentity(config.stateDir)
  const network = own ? (await readNetwork({ stateDir: config.stateDir, identity: own }, log))?.network : undefined
  const faults = own ? ownIdFaults(config, own.id) : []
  const isIn = code !== undefined && network === decodeInvite(code).network
  if (code !== undefined && network !== undefined && !isIn) return refuse(file, file, [...faults, IN_ANOTHER], log)
  if (faults.length > 0) return refuse(file, file, faults, log)
  // First the identity: without it a config would be in the way of the next try.
  const { id } = await loadOrCreateIdentity(config.stateDir, { log })
  if (code !== undefined && !isIn) await keepPendingJoin(config.stateDir, code)
  if (text !== present) {
    await makeDirectory(dirname(path), 0o755)
    await writeFileAtomic(path, text, CONFIG_MODE)
  }
  log.info('taken in', { file, config: path, name: config.name, id })
  for (const warning of warnings) log.warn(`${path}: ${formatFault(warning)}`)
  try {
    await eraseFile(file)
    await rm(errorFile(file), { force: true })
    await leaveNote(
      `${file}.taken.txt`,
      takenNote({ file, name: config.name, id, config: path, warnings, joins: code !== undefined }),
    )
  } catch (thrown) {
    const message = 'it cannot be erased, so what is secret in it stays there, and it is taken in again at each start'
    log.warn(message, { file, reason: reasonOf(thrown) })
  }
  return EXIT_DONE
}

async function firstThere(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) if (await exists(file)) return file
  return undefined
}

function asFault({ problem, remedy }: { readonly problem: string; readonly remedy: string }): ConfigFault {
  return { place: 'the file', value: undefined, problem, remedy }
}

async function refuse(file: string, faulty: string, faults: readonly ConfigFault[], log: Log): Promise<never> {
  try {
    await leaveNote(errorFile(file), faultNote(file, faulty, faults))
  } catch (thrown) {
    log.warn('what is wrong could not be written beside it', { file, reason: reasonOf(thrown) })
  }
  throw new ConfigError(faulty, faults)
}

const errorFile = (file: string) => `${file}.error.txt`

/** A card wears by what is written to it. */
async function leaveNote(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before !== text) await writeFileAtomic(path, text, 0o644)
}
