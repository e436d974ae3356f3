import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'

const ENGINE = join(import.meta.dirname, '../../common/platform/engine.ts')

/** Runs in a process of its own, since it is about the whole of one; gives what V8 tells of its compilers, and the output. */
async function run(body: string): Promise<readonly string[]> {
  const program = `
    import { giveBackMemory, heldBytes, noteTraffic, restCompilers } from ${JSON.stringify(ENGINE)}
    const sum = (list, factor) => { let s = 0; for (let i = 0; i < 50; i++) s = (s + list[i % 16] * factor) | 0; return s }
    const heat = () => { const list = [...Array(16).keys()]; for (let i = 0; i < 200_000; i++) sum(list, i) }
    const pause = () => new Promise(resolve => setTimeout(resolve, 20))
    ${body}`
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--no-warnings', '--trace-opt', '--input-type=module', '--eval', program],
  ])
  return stdout.split('\n').filter(line => line.startsWith('= ') || /^\[completed (?:compiling|optimizing)/.test(line))
}

test('nothing is compiled for speed while compilers rest, and hot functions are when user bytes flow', async t => {
  const lines = await run(`
    restCompilers()
    heat(); await pause(); heat()
    for (let i = 0; i < 63; i++) noteTraffic()
    restCompilers()
    for (let i = 0; i < 63; i++) noteTraffic()
    heat(); await pause(); heat()
    console.log('= awake')
    noteTraffic()
    heat(); await pause(); heat()`)
  const awake = lines.indexOf('= awake')
  t.deepEqual(lines.slice(0, awake), [])
  t.true(lines.slice(awake).some(line => line.includes(' sum ')))
})

test('garbage is given back', async t => {
  const lines = await run(`
    let list = Array.from({ length: 200_000 }, (_, i) => ({ i }))
    const before = heldBytes()
    list = undefined
    giveBackMemory()
    console.log('= ' + (before - heldBytes() > 4e6) + ' ' + typeof globalThis.gc)`)
  t.deepEqual(
    lines.filter(line => line.startsWith('= ')),
    ['= true undefined'],
  )
})
