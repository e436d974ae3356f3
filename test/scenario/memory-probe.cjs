// Preloaded into an agent: upon SIGUSR2 it collects all garbage and writes what is left, in bytes.

const { getHeapSpaceStatistics, setFlagsFromString } = require('node:v8')
const { runInNewContext } = require('node:vm')

// What V8 compiles from functions that are called often grows for hours, ever more slowly, and is no leak.
const COMPILED = ['code_space', 'code_large_object_space', 'trusted_space', 'trusted_large_object_space']

let asked = 0

process.on('SIGUSR2', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  // Twice: what a finalizer lets go is garbage only then.
  for (let i = 0; i < 2; i++) collect({ type: 'major', flavor: 'last-resort' })
  const used = { compiled: 0, objects: 0, buffers: process.memoryUsage().external }
  for (const { space_name, space_used_size } of getHeapSpaceStatistics()) {
    used[COMPILED.includes(space_name) ? 'compiled' : 'objects'] += space_used_size
  }
  process.stderr.write(`memory ${++asked} ${JSON.stringify(used)}\n`)
})
