import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'

const ENGINE = join(import.meta.dirname, '../../common/platform/engine.ts')

/** Runs in a process of its own, since it is about the whole of one; gives what V8 tells of its compilers, and the output. */
async function run(body: string): Promise<readonly string[]> {
  const program = `
    import { boundYoungGeneration, giveBackMemory, heldBytes, noteTraffic, restCompilers } from ${JSON.stringify(ENGINE)}
    const sum = (list, factor) => { let s = 0; for (let i = 0; i < 50; i++) s = (s + list[i % 16] * factor) | 0; return s }
    const heat = () => { const list = [...Array(16).keys()]; for (let i = 0; i < 200_000; i++) sum(list, i) }
    const pause = () => new Promise(resolve => setTimeout(resolve, 20))
    ${body}`
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--no-warnings', '--trace-opt', '--no-concurrent-recompilation', '--input-type=module', '--eval', program],
  ])
  return stdout.split('\n').filter(line => line.startsWith('= ') || /^\[completed (?:compiling|optimizing)/.test(line))
}

test('nothing is compiled for speed while compilers rest, and hot functions are when user bytes flow', async t => {
  const lines = await run(`
    restCompilers()
    await pause()
    console.log('= at rest')
    heat(); await pause(); heat()
    for (let i = 0; i < 63; i++) noteTraffic()
    restCompilers()
    for (let i = 0; i < 63; i++) noteTraffic()
    heat(); await pause(); heat()
    console.log('= awake')
    noteTraffic()
    heat(); await pause(); heat()`)
  const awake = lines.indexOf('= awake')
  // What was compiled before is Node's own, to strip the types.
  t.deepEqual(lines.slice(lines.indexOf('= at rest'), awake), ['= at rest'])
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

test('however much survives, the young generation stays small while there is work, and grows again after a rest', async t => {
  const lines = await run(`
    import { getHeapSpaceStatistics } from 'node:v8'
    const young = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20
    let kept = []
    const churn = each => {
      let most = 0
      for (let i = 0; i < 60; i++) {
        for (let n = 0; n < 20_000; n++) kept.push({ n, list: [n, i] })
        if (kept.length > 200_000) kept = []
        each()
        most = Math.max(most, young())
      }
      return most
    }
    const bounded = churn(boundYoungGeneration)
    const byTraffic = churn(() => { for (let i = 0; i < 256; i++) noteTraffic() })
    kept = []
    giveBackMemory()
    const rested = young()
    console.log('= ' + JSON.stringify([bounded <= 32, byTraffic <= 32, rested < 8, churn(() => undefined) > 32]))`)
  t.deepEqual(
    lines.filter(line => line.startsWith('= ')),
    ['= [true,true,true,true]'],
  )
})
