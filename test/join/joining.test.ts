import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Joining } from '../../agent/join/joining.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { HomeNetwork } from '../../agent/trust/home-network.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { encodeInvite, type InviteCode } from '../../common/wire/invite-code.ts'
import { NOW, startInviter } from './inviter.ts'

/** A device with a state directory of its own, which may start anew. */
async function device(t: ExecutionContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-joining-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const log = createLog({ level: 'error', style: 'words', write: () => undefined })
  const clock = { ...systemClock, wallNow: () => NOW * 1000 }
  const identity = generateKeyPair()
  const common = { stateDir, identity, clock, random: systemRandom, log, onChange: () => undefined }
  const start = async () => {
    const home = await HomeNetwork.open(common)
    const joining = await Joining.open({
      ...common,
      home,
      sealer: createSealer(identity, clock),
      software: 'test',
      env: {},
      relays: () => [],
      looksOnLan: () => false,
      endpoints: () => [],
      isTaken: () => false,
      addresses: () => ['127.0.0.1'],
    })
    const joinBy = (code: InviteCode) => joining.join(encodeInvite(code), 'pi', new AbortController().signal)
    return { home, joining, joinBy }
  }
  return { stateDir, start }
}

test('a device joins one network, and once; what it lost of the roster another code brings back', async t => {
  const [inviter, foreign] = [await startInviter(t), await startInviter(t)]
  const invite = async (by: typeof inviter) => ({
    ...(await by.invite()),
    endpoints: [{ address: '127.0.0.1', port: by.port }],
  })
  const { stateDir, start } = await device(t)
  const first = await start()
  t.like(await first.joinBy(await invite(inviter)), { network: inviter.network.id, name: 'pi', already: false })
  t.is(first.home.current?.own, 'member')
  t.like(await first.joinBy(await invite(inviter)), { already: true })
  await t.throwsAsync(first.joinBy(await invite(foreign)), {
    code: 'usage',
    message: /belongs to the network \w{10} already, and to one at a time; to leave that one, stop the agent and move/,
  })

  await rm(join(stateDir, 'network', 'roster'))
  await rm(join(stateDir, 'network', 'roster.before'), { force: true })
  const second = await start()
  t.is(second.home.current?.own, 'unknown')
  t.like(await second.joinBy(await invite(inviter)), { network: inviter.network.id, already: false })
  t.is(second.home.current?.own, 'member')
  t.is((await start()).home.current?.own, 'member')
})

test('whether a device is a member is for its inviter to say, who may take it back and say what it is called', async t => {
  const inviter = await startInviter(t)
  const invite = async (name?: string) => ({
    ...(await inviter.invite({ name })),
    endpoints: [{ address: '127.0.0.1', port: inviter.port }],
  })
  const { start } = await device(t)
  const { home, joinBy } = await start()
  t.like(await joinBy(await invite('vm')), { name: 'vm', already: false })
  const open = await invite()
  t.like(await joinBy(open), { name: 'vm', already: true })
  const [own] = inviter.network.memberIds()
  if (own === undefined) throw new Error('nobody is in')
  inviter.network.remove(own)
  t.is(home.current?.own, 'member')
  await t.throwsAsync(joinBy(open), { code: 'invite-refused', message: /this device was removed from the network/ })
  inviter.skew.s = 1
  t.like(await joinBy(await invite('vm')), { name: 'vm', already: false })
  t.is(home.current?.own, 'member')
  t.is(home.current?.ownChain?.[0]?.entry.version, 3)
})

test('who is in no network, or may not let others in, makes no code', async t => {
  const inviter = await startInviter(t)
  const { start } = await device(t)
  const { joining, joinBy } = await start()
  const wish = { name: undefined, roles: [], forS: 3_600 }
  await t.throwsAsync(joining.invite(wish), { code: 'usage', message: /is in no network/ })
  await joinBy({ ...(await inviter.invite()), endpoints: [{ address: '127.0.0.1', port: inviter.port }] })
  await t.throwsAsync(joining.invite(wish), { code: 'not-authorized', message: /may not let others into the network/ })
})
