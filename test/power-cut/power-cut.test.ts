import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { build } from 'esbuild'
import fc from 'fast-check'
import { readConfig } from '../../agent/config/load-config.ts'
import { loadOrCreateIdentity, tidyStateDir } from '../../agent/identity/identity.ts'
import { decodePorts } from '../../agent/identity/stable-ports.ts'
import { decodeBook } from '../../agent/rendezvous/address-book-file.ts'
import { readOwnRecord } from '../../agent/rendezvous/own-record-file.ts'
import { decodeMemories } from '../../agent/session/path-memory-file.ts'
import { readNetwork, tidyNetwork } from '../../agent/trust/network-store.ts'
import { systemCodeOf } from '../../common/errors.ts'
import { createLog } from '../../common/platform/log.ts'
import { loadRelayKey } from '../../relay/relay-key.ts'
import { rootTest } from '../lab/root-test.ts'
import { afterPowerCut, type DiskOp, readDisk, writeDisk } from './disk-model.ts'
import { traceDisk } from './disk-trace.ts'

const WRITER = join(import.meta.dirname, 'state-writer.ts')
const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })

async function temporary(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-cut-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

interface Found {
  readonly agent: string
  readonly relay: string
  /** Of the address record; 0 where there is none. */
  readonly sequence: number
  readonly network: string | undefined
  readonly members: number
}

/** What an agent and a relay find when they start on what a cut has left; rejects where one of them could not start. */
async function startOn(home: string): Promise<Found> {
  const stateDir = join(home, 'state')
  const identity = await loadOrCreateIdentity(stateDir, { log: QUIET })
  const { id } = identity
  const stored = await readNetwork({ stateDir, identity }, QUIET)
  if (stored?.damage !== undefined) throw new RangeError(stored.damage)
  const whole = async (path: string, isWhole: (text: string) => boolean) => {
    const text = await readIfThere(path)
    if (text !== undefined && !isWhole(text)) throw new RangeError(`${path} is damaged: ${JSON.stringify(text)}`)
  }
  await whole(join(stateDir, 'ports.json'), text => decodePorts(text) !== undefined)
  await whole(join(stateDir, 'paths.json'), text => decodeMemories(text) !== undefined)
  await whole(join(stateDir, 'address-book.json'), text => decodeBook(text) !== undefined)
  const own = await readOwnRecord(stateDir, id, QUIET)
  if (!own && (await readIfThere(join(stateDir, 'address-record'))) !== undefined) {
    throw new RangeError('the address record is damaged')
  }
  const config = join(home, 'agent.json')
  if ((await readIfThere(config)) !== undefined) {
    const { ok } = await readConfig(config)
    if (!ok) throw new RangeError(`${config} is damaged`)
  }
  const relay = await loadRelayKey(join(home, 'relay'))
  const [network, members] = [stored?.network, stored?.statements.length ?? 0]
  return { agent: id, relay: relay.id, sequence: own?.record.sequence ?? 0, network, members }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined
    throw thrown
  }
}

/** The identities and networks that were told, and the last numbers of address records and members, by who and round. */
function toldIn(text: string): ReadonlyMap<string, string> {
  const lines = [...text.matchAll(/^(agent|relay|record|network|members) (\d+) (\S+)$/gm)]
  return new Map(lines.map(([, who = '', round = '', id = '']) => [`${who} ${round}`, id]))
}

function holds(t: ExecutionContext, found: Found, told: ReadonlyMap<string, string>, round: string): void {
  t.is(found.agent, told.get(`agent ${round}`) ?? found.agent)
  t.is(found.relay, told.get(`relay ${round}`) ?? found.relay)
  t.is(found.network, told.get(`network ${round}`) ?? found.network)
  t.true(found.sequence >= Number(told.get(`record ${round}`) ?? 0), 'the number of the address record went back')
  t.true(found.members >= Number(told.get(`members ${round}`) ?? 0))
}

rootTest(
  'whatever a power cut loses, an agent and a relay start with the identity that they told, and no address record goes back',
  async t => {
    const directory = await temporary(t)
    const base = join(directory, 'disk')
    await mkdir(base)
    const none = await readDisk(base)
    const first = await traceDisk(base, process.execPath, [WRITER, base, '1'])
    t.is(first.code, 0, first.stderr)
    const known = await readDisk(base)
    const again = await traceDisk(base, process.execPath, [WRITER, base, '1'])
    t.is(again.code, 0, again.stderr)
    t.true(first.ops.filter(({ kind }) => kind === 'sync').length > 12)
    t.true(again.ops.some(({ kind }) => kind === 'rename'))

    let runs = 0
    const cut = async (
      before: typeof none,
      ops: readonly DiskOp[],
      at: number,
      lost: readonly boolean[],
      told: string,
    ) => {
      const left = afterPowerCut(base, before, ops.slice(0, at), change => lost[change % lost.length] !== true)
      const place = join(directory, `left-${++runs}`)
      await writeDisk(place, left)
      const found = await startOn(join(place, '1'))
      holds(t, found, toldIn(told), '1')
      await rm(place, { recursive: true })
    }
    const toldOf = (ops: readonly DiskOp[]) => ops.map(op => (op.kind === 'told' ? op.text : '')).join('')
    const losses = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 })
    // At every single step with nothing and with everything lost, and at random ones with random losses.
    for (const lost of [[true], [false]]) {
      for (let at = 0; at <= first.ops.length; at++) {
        await cut(none, first.ops, at, lost, toldOf(first.ops.slice(0, at)))
      }
      for (let at = 0; at <= again.ops.length; at++) await cut(known, again.ops, at, lost, toldOf(first.ops))
    }
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: first.ops.length }), losses, (at, lost) =>
        cut(none, first.ops, at, lost, toldOf(first.ops.slice(0, at))),
      ),
      { numRuns: 300 },
    )
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: again.ops.length }), losses, (at, lost) =>
        cut(known, again.ops, at, lost, toldOf(first.ops)),
      ),
      { numRuns: 150 },
    )
    t.log(`${first.ops.length} and ${again.ops.length} operations, ${runs} power cuts`)
  },
)

test('200 times everything is killed while it writes: identities and config load, and what is left behind is removed', async t => {
  const directory = await temporary(t)
  const writer = join(directory, 'writer.mjs')
  await build({
    entryPoints: [WRITER],
    outfile: writer,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  let left = 0
  const oneCut = async (cut: number) => {
    const home = join(directory, String(cut))
    const env = { ...process.env, NODE_V8_COVERAGE: '' }
    const child = spawn(process.execPath, [writer, home, '1000'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(child, 'close')
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    await Promise.race([once(child.stdout, 'data'), closed])
    await wait(Math.random() * 20)
    child.kill('SIGKILL')
    await closed
    t.is(child.signalCode, 'SIGKILL')
    for (const round of await readdir(home)) {
      const found = await startOn(join(home, round))
      holds(t, found, toldIn(told), round)
      const stateDir = join(home, round, 'state')
      left += (await readdir(stateDir, { recursive: true })).filter(name => name.endsWith('.new')).length
      await tidyStateDir(stateDir, { wallNow: () => Date.now() + 3_600_000 }, QUIET)
      t.deepEqual(
        (await readdir(stateDir)).filter(
          name => !/^(identity\.(key|pub)|(ports|paths|address-book)\.json|address-record|network(\.key)?)$/.test(name),
        ),
        [],
      )
      await tidyNetwork(stateDir, { wallNow: () => Date.now() + 3_600_000 })
      const network = await readdir(join(stateDir, 'network')).catch(() => [])
      t.deepEqual(
        network.filter(name => !/^(keys(\.copy)?|roster(\.before)?)$/.test(name)),
        [],
      )
    }
    await rm(home, { recursive: true })
  }
  const cuts = Array.from({ length: 200 }, (_, cut) => cut)
  const worker = async () => {
    for (let cut = cuts.shift(); cut !== undefined; cut = cuts.shift()) await oneCut(cut)
  }
  await Promise.all([worker(), worker()])
  t.log(`${left} files were left behind`)
  t.true(left > 0)
})
