'use strict'

// pack-code.cjs BUNDLE FILE: writes the length of the bundle, the bundle and what V8 made of it into one file, so that no
// text ever stands beside what was made of another one: V8 itself compares their lengths and no more.

const { readFileSync, writeFileSync } = require('node:fs')
const { compileFunction } = require('node:vm')

const [bundle, file] = process.argv.slice(2)
// One byte a letter: whatever is not ASCII was escaped.
const text = readFileSync(bundle, 'latin1')
const { cachedData } = compileFunction(text, ['exports', 'require', 'module', '__filename', '__dirname'], {
  produceCachedData: true,
})
const length = Buffer.alloc(4)
length.writeUInt32LE(text.length)
writeFileSync(file, Buffer.concat([length, Buffer.from(text, 'latin1'), cachedData]))
