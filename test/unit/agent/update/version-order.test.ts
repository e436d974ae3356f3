import test from 'ava'
import { compareVersions, isVersion } from '../../../../agent/update/version-order.ts'

const IN_ORDER = [
  '0.1.0-1',
  '0.1.0-2',
  '0.1.0-10',
  '0.1.0-alpha',
  '0.1.0-alpha.1',
  '0.1.0-beta',
  '0.1.0-rc.1',
  '0.1.0-rc.2',
  '0.1.0',
  '0.1.1',
  '0.2.0-rc.1',
  '0.2.0',
  '0.10.0',
  '1.0.0',
  '10.0.0',
]

test('versions are in the order of semver', t => {
  for (const [index, one] of IN_ORDER.entries()) {
    t.true(isVersion(one))
    for (const [other, two] of IN_ORDER.entries()) {
      t.is(Math.sign(compareVersions(one, two)), Math.sign(index - other), `${one} and ${two}`)
    }
  }
})

test('nothing else is a version: it becomes the name of a directory', t => {
  for (const text of [
    '',
    '1',
    '1.2',
    '1.2.3.4',
    '../1.2.3',
    '1.2.3/..',
    '1.2.3-',
    '1.2.3-a/b',
    '1.2.3 ',
    '1.2.3-..',
    'v1.2.3',
  ]) {
    t.false(isVersion(text), text)
  }
})
