import { readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'
import { culvert, startCulvert, temporaryHome } from './run-culvert.ts'

const QUIET = { stateDir: 'state', name: 'attic', nat: { portMapping: false }, lan: { discovery: false } }

test.serial(
  'share and unshare change the config file and nothing else in it, and the running agent at once',
  async t => {
    const home = await temporaryHome(t)
    const file = join(home, 'agent.json')
    await writeFile(file, JSON.stringify(QUIET), { mode: 0o600 })
    const child = startCulvert(['agent', '--config', file])
    t.teardown(() => child.kill('SIGKILL'))
    for await (const text of createInterface({ input: child.stderr })) if (text.includes('agent ready')) break
    const services = async () => JSON.parse((await culvert(['status', '--json', '--config', file])).out).services
    const run = (...args: string[]) => culvert([...args, '--config', file])

    const shared = await run('share', 'web', '8080')
    t.deepEqual([shared.code, shared.out], [0, 'web leads to tcp://127.0.0.1:8080; all peers may use it\n'], shared.err)
    t.deepEqual(await services(), [{ name: 'web', target: 'tcp://127.0.0.1:8080' }])
    t.is((await run('share', 'ssh', 'localhost:22', '--allow', 'role:family', '--json')).code, 0)
    t.deepEqual(JSON.parse((await run('share', 'web', 'unix:/run/web.sock', '--json')).out), {
      name: 'web',
      target: 'unix:/run/web.sock',
      allow: ['*'],
      running: true,
    })
    t.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
      ...QUIET,
      services: {
        web: { target: 'unix:/run/web.sock' },
        ssh: { target: 'tcp://localhost:22', allow: ['role:family'] },
      },
    })
    t.is((await stat(file)).mode & 0o777, 0o600)

    t.is((await run('unshare', 'web')).out, 'web is not shared any more\n')
    t.deepEqual(await services(), [{ name: 'ssh', target: 'tcp://localhost:22' }])
    t.deepEqual(await run('unshare', 'web'), {
      code: 1,
      out: '',
      err: 'culvert: no service is called web; "culvert status" lists them\n',
    })
    child.kill('SIGTERM')
  },
)

test.serial('without an agent the file alone changes, and a link to it stays one', async t => {
  const home = await temporaryHome(t)
  const [file, link] = [join(home, 'agent.json'), join(home, 'link.json')]
  await writeFile(file, JSON.stringify(QUIET))
  await symlink(file, link)
  const shared = await culvert(['share', 'dns', 'udp://127.0.0.1:53', '--config', link])
  t.is(shared.out, 'dns leads to udp://127.0.0.1:53 as soon as the agent runs; all peers may use it\n')
  t.like(JSON.parse(await readFile(file, 'utf8')), { services: { dns: { target: 'udp://127.0.0.1:53' } } })
})

test.serial('another target opens a service to nobody who was not let in before', async t => {
  const file = join(await temporaryHome(t), 'agent.json')
  await writeFile(file, JSON.stringify(QUIET))
  const run = (...args: string[]) => culvert(['share', 'web', ...args, '--config', file])
  await run('8080', '--allow', 'role:family', '--allow', 'peer:laptop')
  const moved = await run('9090')
  t.is(moved.out, 'web leads to tcp://127.0.0.1:9090 as soon as the agent runs; role:family, peer:laptop may use it\n')
  const { services } = JSON.parse(await readFile(file, 'utf8'))
  t.deepEqual(services.web, { target: 'tcp://127.0.0.1:9090', allow: ['role:family', 'peer:laptop'] })
  t.deepEqual(JSON.parse((await run('9091', '--json')).out).allow, ['role:family', 'peer:laptop'])
  t.deepEqual(JSON.parse((await run('9091', '--allow', '*', '--json')).out).allow, ['*'])
})

test.serial('what would make a fault is refused, and the file stays as it was', async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  const text = JSON.stringify(QUIET)
  await writeFile(file, text)
  for (const [args, words] of [
    [['share', 'a b', '80'], /no name of a service/],
    [['share', 'web', 'socks5://127.0.0.1:1080'], /is no target/],
    [['share', 'web', '80', '--allow', 'everyone'], /services\.web\.allow\[0]: "everyone" names nobody/],
    [['share', 'web'], /TARGET is missing/],
  ] as const) {
    const refused = await culvert([...args, '--config', file])
    t.is(refused.code, 2)
    t.regex(refused.err, words)
  }
  t.is(await readFile(file, 'utf8'), text)
})
