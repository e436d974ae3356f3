/** ELF-64, little-endian: where the fields that we touch stand (System V ABI, "ELF Header" and "Sections"). */
const HEADER = { programs: 0x20, sections: 0x28, programSize: 0x36, programCount: 0x38, sectionSize: 0x3a } as const
const SECTION_COUNT = 0x3c
const NAMES_INDEX = 0x3e
const PROGRAM = { offset: 0x08, fileSize: 0x20 } as const
const SECTION = { type: 0x04, flags: 0x08, offset: 0x18, size: 0x20, link: 0x28, info: 0x2c } as const
const HEADER_BYTES = 64
const SECTION_BYTES = 64
const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1])

const NOTHING_IN_FILE = 8n
/** The section is in memory when the program runs. */
const ALLOCATED = 2n
/** `info` is the index of a section. */
const INFO_IS_LINK = 0x40n

/**
 * The file without what no loader reads: symbols for debuggers, and notes of compilers. What is loaded stays where it is,
 * byte for byte. The same for every machine, where GNU strip needs a build for each, and writes what its version thinks.
 */
export function stripElf(file: Buffer): Buffer {
  if (file.length < HEADER_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new Error('not a 64-bit little-endian ELF file')
  }
  const sections = readSections(file)
  const namesIndex = file.readUInt16LE(NAMES_INDEX)
  const kept = sections.filter(({ index, flags }) => index === 0 || index === namesIndex || flags & ALLOCATED)
  const end = endOfLoaded(file, kept, namesIndex)
  const renumbered = new Map(kept.map(({ index }, place) => [index, place]))

  const names = sections[namesIndex]
  if (!names) throw new Error('the ELF file has no section names')
  const namesAt = end
  const tableAt = Math.ceil((namesAt + names.size) / 8) * 8
  const stripped = Buffer.alloc(tableAt + kept.length * SECTION_BYTES)
  file.copy(stripped, 0, 0, end)
  file.copy(stripped, namesAt, names.offset, names.offset + names.size)

  for (const [place, section] of kept.entries()) {
    const entry = stripped.subarray(tableAt + place * SECTION_BYTES, tableAt + (place + 1) * SECTION_BYTES)
    section.header.copy(entry)
    entry.writeUInt32LE(renumbered.get(section.header.readUInt32LE(SECTION.link)) ?? 0, SECTION.link)
    if (section.flags & INFO_IS_LINK) {
      entry.writeUInt32LE(renumbered.get(section.header.readUInt32LE(SECTION.info)) ?? 0, SECTION.info)
    }
    if (section.index === namesIndex) entry.writeBigUInt64LE(BigInt(namesAt), SECTION.offset)
  }
  stripped.writeBigUInt64LE(BigInt(tableAt), HEADER.sections)
  stripped.writeUInt16LE(kept.length, SECTION_COUNT)
  stripped.writeUInt16LE(renumbered.get(namesIndex) ?? 0, NAMES_INDEX)
  return stripped
}

interface Section {
  readonly index: number
  readonly header: Buffer
  readonly flags: bigint
  readonly offset: number
  readonly size: number
}

function readSections(file: Buffer): readonly Section[] {
  const at = Number(file.readBigUInt64LE(HEADER.sections))
  const count = file.readUInt16LE(SECTION_COUNT)
  if (file.readUInt16LE(HEADER.sectionSize) !== SECTION_BYTES || at + count * SECTION_BYTES > file.length) {
    throw new Error('the ELF file has no whole section table')
  }
  return Array.from({ length: count }, (_, index) => {
    const header = file.subarray(at + index * SECTION_BYTES, at + (index + 1) * SECTION_BYTES)
    const inFile = BigInt(header.readUInt32LE(SECTION.type)) !== NOTHING_IN_FILE
    return {
      index,
      header,
      flags: header.readBigUInt64LE(SECTION.flags),
      offset: Number(header.readBigUInt64LE(SECTION.offset)),
      size: inFile ? Number(header.readBigUInt64LE(SECTION.size)) : 0,
    }
  })
}

/** Behind the last byte that a segment or a section to keep has in the file. */
function endOfLoaded(file: Buffer, kept: readonly Section[], namesIndex: number): number {
  const at = Number(file.readBigUInt64LE(HEADER.programs))
  const size = file.readUInt16LE(HEADER.programSize)
  const segments = Array.from({ length: file.readUInt16LE(HEADER.programCount) }, (_, index) => {
    const entry = file.subarray(at + index * size, at + (index + 1) * size)
    return Number(entry.readBigUInt64LE(PROGRAM.offset) + entry.readBigUInt64LE(PROGRAM.fileSize))
  })
  const sections = kept.filter(({ index }) => index !== namesIndex).map(({ offset, size }) => offset + size)
  return Math.max(...segments, ...sections)
}
