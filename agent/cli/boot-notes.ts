import { plainText } from '../../common/wire/plain-text.ts'
import { type ConfigFault, formatFault } from '../config/config-fault.ts'

// What the owner of a device without screen and keyboard reads on its card, in any editor: CRLF, as the card may be read
// under Windows. No time is in it, since a board without a clock has none, and since a text that is the same again is not
// written again.

/** Beside a file that was not taken in. */
export function faultNote(file: string, faulty: string, faults: readonly ConfigFault[]): string {
  const where = file === faulty ? 'it' : `${faulty}, the config that is there already`
  return note([
    `culvert did not take in ${file}. What is wrong in ${where}:`,
    '',
    ...faults.map(fault => `  ${formatFault(fault)}`),
    '',
    'Mend it and start the device again.',
  ])
}

export interface TakenIn {
  readonly file: string
  readonly name: string
  readonly id: string
  readonly config: string
  readonly warnings: readonly ConfigFault[]
  /** There was a join code in it. */
  readonly joins: boolean
}

const JOINS = [
  'It gets into the network of the join code by itself, as soon as it reaches the device that made the code.',
]

/** In place of a file that was taken in. */
export function takenNote({ file, name, id, config, warnings, joins }: TakenIn): string {
  const remarks = warnings.length > 0 ? ['', 'Worth a look:', ...warnings.map(fault => `  ${formatFault(fault)}`)] : []
  return note([
    `culvert took in ${file} and erased it. The config is ${config} on the device.`,
    '',
    `This device is "${name}":`,
    `  ${id}`,
    '',
    ...(joins
      ? JOINS
      : [
          'Devices that are to reach it, or to be reached by it, need this in "peers" of their config:',
          `  ${JSON.stringify(name)}: { "id": "${id}" }`,
        ]),
    ...remarks,
    '',
    'To change more, put another file of that name here.',
  ])
}

function note(lines: readonly string[]): string {
  return lines.map(line => `${plainText(line)}\r\n`).join('')
}
