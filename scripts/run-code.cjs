'use strict'

// Becomes dist/culvert.cjs: runs the code beside it as V8 left it when it was built (`pack-code.cjs`). To parse it anew
// would take each command 14 ms, on a small board 100; a Node of another version does so.

const { closeSync, fstatSync, openSync, readSync } = require('node:fs')
const { compileFunction, constants } = require('node:vm')

const filename = `${__dirname}/culvert.code`
const file = openSync(filename)
const { size } = fstatSync(file)
// V8 maps what may be resized. Another one comes from malloc, which, once something as large was freed, keeps twice as
// much for good: 0.6 MB of an idle agent.
const packed = Buffer.from(new ArrayBuffer(size, { maxByteLength: size }), 0, size)
let filled = 0
while (filled < size) {
  const length = readSync(file, packed, filled, size - filled, null)
  if (length === 0) throw new Error(`${filename} is not whole`)
  filled += length
}
closeSync(file)
const end = packed.readUInt32LE() + 4
const run = compileFunction(
  packed.toString('latin1', 4, end),
  ['exports', 'require', 'module', '__filename', '__dirname'],
  {
    filename,
    cachedData: packed.subarray(end),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  },
)
run(exports, require, module, __filename, __dirname)
