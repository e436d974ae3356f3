import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { stripElf } from '../../../scripts/packaging/elf-strip.ts'

const ADDONS = join(import.meta.dirname, '../../../node_modules/udx-native/prebuilds')

test('what is loaded stays as it is, for whatever machine the file is', t => {
  for (const machine of ['linux-x64', 'linux-arm64']) {
    const file = readFileSync(join(ADDONS, machine, 'udx-native.node'))
    const stripped = stripElf(file)
    t.true(stripped.length < file.length * 0.8, machine)
    const end = loadedEnd(file)
    // But for the place and the number of the sections in the header.
    t.deepEqual(stripped.subarray(64, end), file.subarray(64, end), machine)
    t.deepEqual(loadedEnd(stripped), end, machine)
  }
})

test('the sections that are left keep their names, and refer to each other as before', t => {
  const file = readFileSync(join(ADDONS, 'linux-x64/udx-native.node'))
  const before = sectionsOf(file)
  const after = sectionsOf(stripElf(file))
  t.false(after.some(({ name }) => /^\.(symtab|strtab|debug.*|comment)$/.test(name)))
  t.true(after.some(({ name }) => name === '.shstrtab'))
  for (const section of after) t.deepEqual(before.find(({ name }) => name === section.name)?.linked, section.linked)
  t.is(after.find(({ name }) => name === '.dynsym')?.linked, '.dynstr')
})

test('a file that is stripped already stays as it is', t => {
  const once = stripElf(readFileSync(join(ADDONS, 'linux-arm64/udx-native.node')))
  t.deepEqual(stripElf(once), once)
})

test('what is no ELF file, or ends too early, is refused', t => {
  t.throws(() => stripElf(Buffer.from('#!/bin/sh\n'.padEnd(200))), { message: /not a 64-bit/ })
  const file = readFileSync(join(ADDONS, 'linux-x64/udx-native.node'))
  t.throws(() => stripElf(file.subarray(0, 40)), { message: /not a 64-bit/ })
  t.throws(() => stripElf(file.subarray(0, file.length - 1)), { message: /no whole section table/ })
})

/** Behind the last byte of its segments. */
function loadedEnd(file: Buffer): number {
  const at = Number(file.readBigUInt64LE(0x20))
  const ends = Array.from({ length: file.readUInt16LE(0x38) }, (_, index) => {
    const entry = at + index * file.readUInt16LE(0x36)
    return Number(file.readBigUInt64LE(entry + 8) + file.readBigUInt64LE(entry + 0x20))
  })
  return Math.max(...ends)
}

function sectionsOf(file: Buffer): readonly { readonly name: string; readonly linked: string }[] {
  const at = Number(file.readBigUInt64LE(0x28))
  const entry = (index: number) => file.subarray(at + index * 64, at + (index + 1) * 64)
  const namesAt = Number(entry(file.readUInt16LE(0x3e)).readBigUInt64LE(0x18))
  const nameOf = (index: number) => {
    const start = namesAt + entry(index).readUInt32LE(0)
    return file.toString('latin1', start, file.indexOf(0, start))
  }
  return Array.from({ length: file.readUInt16LE(0x3c) }, (_, index) => ({
    name: nameOf(index),
    linked: nameOf(entry(index).readUInt32LE(0x28)),
  }))
}
