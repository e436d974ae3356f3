import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { decodeInvite, encodeInvite } from '../../common/wire/invite-code.ts'
import { startLoopbackRelay } from '../session/loopback-peers.ts'
import { culvert, type Outcome, startCulvert, temporaryHome } from './run-culvert.ts'

const QUIET = { nat: { portMapping: false }, lan: { discovery: false } }

/** An agent that founded a network, at a relay of this process; all by the command line. */
async function founder(t: ExecutionContext) {
  const relay = await startLoopbackRelay()
  const home = await temporaryHome(t)
  const config = join(home, 'founder', 'agent.json')
  const on =
    (file: string) =>
    (args: readonly string[], input = '') =>
      culvert([...args, '--config', file], {}, input)
  const made = await on(config)(['init', '--name', 'attic', '--relay', `http://127.0.0.1:${relay.http.port}`, '--json'])
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), ...QUIET }))
  const child = startCulvert(['agent', '--config', config])
  t.teardown(async () => {
    child.kill('SIGKILL')
    await relay[Symbol.asyncDispose]()
  })
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('relay connected')) break
  child.stderr.resume()
  return { home, child, made: JSON.parse(made.out), run: on(config), on }
}

function refused(t: ExecutionContext, outcome: Outcome, code: number, words: RegExp): void {
  t.is(outcome.code, code, outcome.err)
  t.regex(outcome.err, words)
}

test.serial('each code that lets nobody in says why and ends with 4, and one whose inviter is away with 3', async t => {
  const { home, child, made, run, on } = await founder(t)
  const device = (name: string) => on(join(home, name, 'agent.json'))
  const invite = JSON.parse(
    (await run(['invite', '--name', 'pi', '--role', 'family', '--expires', '2h', '--json'])).out,
  )
  t.like(invite, { network: made.network, name: 'pi', roles: ['family'] })
  const code = decodeInvite(invite.code)
  const join_ = (name: string, text: string) => device(name)(['join', text, '--name', name])

  refused(t, await join_('other', 'culvert'), 2, /"culvert" is no join code/)
  refused(t, await device('other')(['join']), 2, /no join code came on standard input/)
  refused(t, await join_('other', invite.code.slice(0, -1)), 4, /damaged: its check sum does not fit/)
  refused(
    t,
    await join_('other', encodeInvite({ ...code, expiresAt: 1_700_000_000 })),
    4,
    /expired on 2023-11-14 22:13/,
  )
  refused(
    t,
    await join_('other', encodeInvite({ ...code, secret: Buffer.alloc(16) })),
    4,
    /does not know this join code/,
  )

  const joined = await device('one')(['join', '-', '--json'], `${invite.code}\nnot read\n`)
  t.is(joined.code, 0, joined.err)
  const { id } = JSON.parse(joined.out)
  t.like(JSON.parse(joined.out), { network: made.network, name: 'pi', already: false, running: false })
  t.like(JSON.parse(await readFile(join(home, 'one', 'agent.json'), 'utf8')), { name: 'pi', relays: code.relays })
  t.is((await stat(join(home, 'one', 'state', 'network', 'keys'))).mode & 0o777, 0o600)
  const { peers } = JSON.parse((await run(['status', '--json'])).out)
  t.like(peers[0], { id, name: 'pi', member: { roles: ['family'], admin: false } })

  refused(t, await join_('other', invite.code), 4, /another device has used this join code already/)
  refused(t, await run(['invite', '--name', 'pi']), 2, /a member of the network is called "pi" already/)
  refused(t, await run(['invite', '--expires', '1y']), 2, /"1y" is no time from 1m to 30d/)
  // Nothing of a join that failed is left but what the next try needs.
  t.false((await readdir(join(home, 'other'))).includes('agent.json'))

  const foreign = encodeInvite({ ...code, network: code.inviter })
  refused(t, await run(['join', foreign]), 2, /belongs to the network \w{10} already, and to one at a time/)

  const last = JSON.parse((await run(['invite', '--json'])).out)
  child.kill('SIGTERM')
  await new Promise(resolve => child.once('exit', resolve))
  refused(t, await join_('late', last.code), 3, /was not reached: .*is its agent running\?/)
  refused(t, await run(['invite']), 5, /no agent answers/)
})
