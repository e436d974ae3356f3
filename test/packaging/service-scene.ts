import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { guarded } from '../guard.ts'
import { execOk } from '../lab/command.ts'
import { ProcessTable } from '../lab/lab-process.ts'
import { World } from '../scenario/world.ts'
import { baseSystem } from './base-system.ts'
import { BootedMachine } from './booted-machine.ts'
import type { MemoryGroup } from './memory-group.ts'

export const AGENT = 'culvert-agent.service'
export const RELAY = 'culvert-relay.service'
const ID = /[a-z2-7]{52}/

/** Each connection gets a program of its own, as inetd did. */
const services = {
  'web.socket': '[Socket]\nListenStream=127.0.0.1:8080\nAccept=yes\n[Install]\nWantedBy=sockets.target\n',
  'web@.service':
    '[Service]\nStandardInput=socket\nExecStart=/bin/sh -c \'read line; printf "HTTP/1.0 200 OK\\\\r\\\\n\\\\r\\\\nhello"\'\n',
  'echo.socket': '[Socket]\nListenStream=127.0.0.1:7000\nAccept=yes\n[Install]\nWantedBy=sockets.target\n',
  'echo@.service': '[Service]\nStandardInput=socket\nExecStart=/bin/cat\n',
}

export const running = (pid: number, state: string) => pid > 0 && state === 'active'

export interface SceneOptions {
  /** It stands in the place of its home's router, and has the provider's address. */
  readonly isRouter?: boolean
  readonly memory?: MemoryGroup | undefined
}

/** A Debian behind a home router, and an agent behind another one that is to use its services. */
export class ServiceScene implements AsyncDisposable {
  readonly world: World
  readonly processes = new ProcessTable()
  readonly #options: SceneOptions
  #machine: BootedMachine | undefined

  private constructor(world: World, options: SceneOptions) {
    this.world = world
    this.#options = options
  }

  static async start(options: SceneOptions = {}): Promise<ServiceScene> {
    const sites = { attic: 'eim-apdf', office: 'eim-eif' } as const
    const scene = new ServiceScene(await World.start({ lab: { sites }, agents: {} }), options)
    try {
      await scene.#install()
      return scene
    } catch (thrown) {
      await scene[Symbol.asyncDispose]()
      throw thrown
    }
  }

  get root(): string {
    return join(this.world.directory, 'machine')
  }

  get machine(): BootedMachine {
    if (!this.#machine) throw new Error('the machine is off')
    return this.#machine
  }

  async boot(): Promise<void> {
    const { lab } = this.world
    const { isRouter = false, memory } = this.#options
    const { namespace } = isRouter ? lab.site('attic').router : lab.host('attic')
    this.#machine = await BootedMachine.boot(this.processes, { root: this.root, namespace, memory })
  }

  /** As when somebody pulls the plug. */
  async cutPower(): Promise<void> {
    await this.machine[Symbol.asyncDispose]()
    this.#machine = undefined
  }

  /** Every file of the machine, but for what each installation of a package leaves: logs, caches, lists. */
  async files(): Promise<readonly string[]> {
    const changing = [
      '/var/log',
      '/var/cache',
      '/var/lib/dpkg',
      '/var/lib/apt',
      '/var/lib/systemd',
      '/var/tmp',
      '/root',
    ]
    const prune = changing.map(path => `-path ${path} -prune -o`).join(' ')
    return (await this.machine.run(`find / -xdev ${prune} -print`)).split('\n').toSorted()
  }

  /** What somebody would have to clean up after a purge. */
  async filesSince(before: readonly string[]): Promise<readonly string[]> {
    const theirs = /^\/(?:boot\/firmware|home|var\/spool|etc\/(?:passwd|group|shadow|gshadow|sub[ug]id|\.pwd)|dev|run)/
    return (await this.files()).filter(path => !before.includes(path) && !theirs.test(path))
  }

  /** Its part of a config on the boot partition, with changes. */
  async writeBootFile(changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const boot = join(this.root, 'boot/firmware')
    await mkdir(boot, { recursive: true })
    const part = {
      name: 'attic',
      relays: [{ url: this.world.relayUrl }],
      peers: { office: { id: this.world.idOf('office') } },
      services: { web: { target: 'tcp://127.0.0.1:8080' }, echo: { target: 'tcp://127.0.0.1:7000' } },
    }
    await writeFile(join(boot, 'culvert.json'), JSON.stringify({ ...part, ...changes }))
  }

  /** Starts the agent that uses this machine's services; resolves when one of them has answered it. */
  async startOffice(): Promise<void> {
    const [id = ''] = ID.exec(await this.machine.run('culvert id')) ?? []
    const config = {
      peers: { attic: { id } },
      forwards: [
        { listen: 'tcp://127.0.0.1:8080', to: 'attic/web' },
        { listen: 'tcp://127.0.0.1:7000', to: 'attic/echo' },
      ],
    }
    await this.world.startAgent('office', { peers: [], config })
    await this.answered()
  }

  /** One request after the other from outside, until one is answered. */
  async answered(): Promise<void> {
    const { host } = this.world.agent('office')
    const curl = ['--silent', '--max-time', '20', 'http://127.0.0.1:8080/']
    const ask = async () => {
      while ((await host.exec('curl', curl)).stdout !== 'hello') await new Promise(resolve => setTimeout(resolve, 200))
    }
    await guarded(ask(), () => this.world.agent('office').log.slice(-3_000))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine?.[Symbol.asyncDispose]()
    await this.processes.stopAll()
    await this.world[Symbol.asyncDispose]()
  }

  async #install(): Promise<void> {
    const { root } = this
    await this.world.prepare('office')
    await execOk(this.processes, 'cp', ['-a', await baseSystem(this.processes), root])
    // Else sudo asks for its own name in a network without DNS, and waits.
    await writeFile(join(root, 'etc/hostname'), 'attic\n')
    await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost attic\n')
    for (const [unit, text] of Object.entries(services)) await writeFile(join(root, 'etc/systemd/system', unit), text)
    await this.boot()
    await this.machine.run('systemctl --quiet enable --now web.socket echo.socket 2>&1')
  }
}
