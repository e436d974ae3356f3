import test from 'ava'
import { hasAesInstructions } from '../../../../common/platform/processor.ts'

test('an x86-64 with AES-NI has AES instructions', t => {
  t.true(hasAesInstructions('processor\t: 0\nflags\t\t: fpu pclmulqdq aes avx\nbugs\t\t: x\n', 'x64'))
})

test('a Pi 5 has AES instructions, a Pi 4 has none', t => {
  t.true(hasAesInstructions('Features\t: fp asimd evtstrm aes pmull sha1 crc32 cpuid\n', 'arm64'))
  t.false(hasAesInstructions('Features\t: fp asimd evtstrm crc32 cpuid\n', 'arm64'))
})

test('a feature whose name only begins with aes is not AES', t => {
  t.false(hasAesInstructions('flags\t\t: fpu aeskl vaes\n', 'x64'))
})

test('where the kernel tells nothing, x86-64 counts as having AES and arm64 as not', t => {
  t.true(hasAesInstructions(undefined, 'x64'))
  t.false(hasAesInstructions(undefined, 'arm64'))
  t.false(hasAesInstructions('', 'arm64'))
})
