'use strict'

// Becomes dist/culvert.cjs: runs the code beside it as V8 left it when it was built (`pack-code.cjs`). To parse it anew
// would take each command 14 ms, on a small board 100; a Node of another version does so.

const { readFileSync } = require('node:fs')
const { compileFunction, constants } = require('node:vm')

const filename = `${__dirname}/culvert.code`
const packed = readFileSync(filename)
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
