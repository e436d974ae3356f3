import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { VERSION } from '../../agent/version.ts'
import type { ExecResult, LabProcess } from '../lab/lab-process.ts'
import { BUNDLE, ROOT } from '../scenario/built-bundle.ts'
import { ThisMachine } from '../scenario/machine.ts'
import { TestAgent } from '../scenario/test-agent.ts'
import type { World } from '../scenario/world.ts'
import { writeLauncher, writeProgram } from './test-launcher.ts'
import { RELEASE_KEY } from './test-release.ts'

/** The agent as another version. It stands where its packages are found. */
export async function buildVersion(version: string): Promise<string> {
  const outfile = join(ROOT, 'dist', `.version-${version}-${process.pid}.cjs`)
  const entry = join(ROOT, 'agent/main.ts')
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    external: ['node-datachannel'],
    alias: { 'require-addon': join(ROOT, 'common/platform/require-addon.cjs') },
    logLevel: 'error',
    plugins: [
      {
        name: 'version',
        setup: ({ onLoad }) =>
          onLoad({ filter: /agent\/version\.ts$/ }, () => ({
            contents: `export const VERSION = ${JSON.stringify(version)}, COMMIT = null`,
            loader: 'ts',
          })),
      },
    ],
  })
  return outfile
}

export const running = (bundle: string) => `#!/bin/sh\nexec ${process.execPath} ${bundle} "$@"\n`

/** A program that tells its version, and does `agent` where an agent is asked for. */
export const program = (version: string, agent: string) => `#!/bin/sh
[ "$1" != version ] || exec echo '{"version":"${version}"}'
[ "$1" = agent ] || exit 9
${agent}
`

/** A machine whose agent is started by the launcher, again whenever it ends, as a service is. */
export class UpdatedHome implements AsyncDisposable {
  readonly place: string
  readonly agent: TestAgent
  readonly #machine = new ThisMachine()
  readonly #launcher: string
  readonly #keys: string
  #supervisor: LabProcess | undefined

  private constructor(place: string, launcher: string, keys: string, from: TestAgent) {
    this.place = place
    this.#launcher = launcher
    this.#keys = keys
    const { name, configPath, socketPath } = from
    this.agent = new TestAgent({ name, host: this.#machine, configPath, socketPath, environment: {} })
  }

  /** Takes over from an agent of the world, which is ended. */
  static async start(world: World, name: string): Promise<UpdatedHome> {
    const from = await world.startAgent(name, { keep: true })
    await from.stop()
    const place = join(world.directory, `${name}-machine`)
    await writeProgram(join(place, 'base'), running(BUNDLE))
    const keys = join(place, 'keys')
    await writeFile(keys, `# of the test\n${RELEASE_KEY.id}\n`, { mode: 0o644 })
    const home = new UpdatedHome(place, await writeLauncher(place, join(place, 'base/culvert')), keys, from)
    await home.supervise()
    return home
  }

  get home(): string {
    return join(this.place, 'opt')
  }

  async supervise(): Promise<void> {
    const pid = join(this.place, 'pid')
    const script = `trap 'kill -KILL $child; exit' TERM
while :; do
  ${this.#launcher} agent --config ${this.agent.configPath} &
  child=$!
  echo $child >${pid}
  wait $child
  sleep 0.1
done`
    this.#supervisor = this.#machine.spawn('/bin/sh', ['-c', script])
    this.agent.process = this.#supervisor
    await this.agentOf(VERSION)
  }

  /** Waits for a version that reaches the relay and its peer. */
  async agentOf(version: string): Promise<void> {
    const { agent } = this
    for (let since = performance.now(); performance.now() - since < 60_000; ) {
      const status = await agent.status().catch(() => undefined)
      const well = status?.relays[0]?.state === 'connected' && status.peers.some(({ state }) => state === 'connected')
      if (well && status.version === version) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new Error(`${version} does not run\n${this.#supervisor?.stderr}`)
  }

  /** `culvert update` as a process that can be killed. */
  startUpdate(file: string, ...args: readonly string[]): LabProcess {
    return this.#machine.spawn(this.#launcher, ['update', file, ...this.options, ...args])
  }

  /** Whoever watches over a trial here. */
  async watchers(): Promise<readonly number[]> {
    const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
    const found = await Promise.all(
      pids.map(async pid => {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        return command.includes('\0--watch\0') && command.includes(this.home) ? [Number(pid)] : []
      }),
    )
    return found.flat()
  }

  culvert(...args: readonly string[]): Promise<ExecResult> {
    return this.#machine.exec(this.#launcher, args, {})
  }

  /** Writes a file of this release, and runs `culvert update` with it. */
  async update(release: Uint8Array, ...args: readonly string[]): Promise<ExecResult> {
    const file = join(this.place, 'some.update')
    await mkdir(this.place, { recursive: true })
    await writeFile(file, release)
    return this.updateFrom(file, ...args)
  }

  /** By somebody who lets nobody else see what he writes. */
  updateFrom(source: string, ...args: readonly string[]): Promise<ExecResult> {
    const careful = ['-c', 'umask 077; exec "$@"', 'sh', this.#launcher]
    return this.#machine.exec('/bin/sh', [...careful, 'update', source, ...this.options, ...args], {})
  }

  get options(): readonly string[] {
    const restart = `kill -TERM $(cat ${join(this.place, 'pid')})`
    return ['--home', this.home, '--keys', this.#keys, '--restart', restart, '--socket', this.agent.socketPath]
  }

  async stop(): Promise<void> {
    await this.#supervisor?.stop('SIGTERM', 5_000)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#machine[Symbol.asyncDispose]()
    await rm(this.place, { recursive: true, force: true })
  }
}
