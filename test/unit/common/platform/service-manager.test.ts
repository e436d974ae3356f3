import test from 'ava'
import { createLog } from '../../../../common/platform/log.ts'
import { serviceManager, watchdogMs } from '../../../../common/platform/service-manager.ts'
import { FakeClock } from '../../fake-clock.ts'

const SYSTEMD = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000' }

function scene(environment: Readonly<Record<string, string>>, arrives: (message: string) => Promise<void>) {
  const clock = new FakeClock()
  const sent: string[] = []
  const logged: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => logged.push(line) })
  const send = (fields: readonly string[]) => {
    sent.push(fields.map(field => field.replace(/USEC=\d+/, 'USEC=now')).join(' '))
    return arrives(sent.at(-1) ?? '')
  }
  let status = 'all\nwell'
  const read = () => {
    if (status === 'bad') throw new RangeError('Invalid time value')
    return status
  }
  const manager = serviceManager(environment, { clock, log, status: read, send })
  const becomes = (next: string) => {
    status = next
    manager.changed()
  }
  const settle = () => new Promise(resolve => setImmediate(resolve))
  return { clock, sent, logged, manager, becomes, settle }
}

test('says that it is ready, lives, reads its config again and stops', async t => {
  const { clock, sent, manager, settle } = scene(SYSTEMD, () => Promise.resolve())
  t.is(clock.timers, 0)
  manager.ready()
  await settle()
  clock.advance(29_999)
  await settle()
  t.deepEqual(sent, ['READY=1 STATUS=all well'])
  clock.advance(1)
  await settle()
  manager.reloading()
  manager.ready()
  await settle()
  manager.stopping()
  await settle()
  t.deepEqual(sent.slice(1), [
    'WATCHDOG=1 STATUS=all well',
    'RELOADING=1 MONOTONIC_USEC=now STATUS=all well',
    'READY=1 STATUS=all well',
    'STOPPING=1 STATUS=all well',
  ])
  t.is(clock.timers, 1)
  manager.close()
  t.is(clock.timers, 0)
})

test('a line that cannot be made ends no agent, and is complained about once', async t => {
  const { clock, sent, logged, manager, becomes, settle } = scene(SYSTEMD, () => Promise.resolve())
  manager.ready()
  await settle()
  for (const second of [1, 2]) {
    becomes('bad')
    t.notThrows(() => clock.advance(10_000), String(second))
    await settle()
  }
  t.true(sent.includes('STATUS=running'))
  t.is(logged.length, 1)
  becomes('all well')
  clock.advance(10_000)
  await settle()
  t.is(sent.at(-1), 'STATUS=all well')
  manager.close()
})

test('what changes is told soon, though not each time, and only if it is another line', async t => {
  const { clock, sent, manager, becomes, settle } = scene(SYSTEMD, () => Promise.resolve())
  becomes('too early')
  t.is(clock.timers, 0)
  manager.ready()
  await settle()
  becomes('0 of 1')
  becomes('1 of 1')
  clock.advance(1_000)
  await settle()
  t.deepEqual(sent.splice(0), ['READY=1 STATUS=too early', 'STATUS=1 of 1'])
  becomes('0 of 1')
  clock.advance(9_999)
  await settle()
  t.deepEqual(sent, [])
  clock.advance(1)
  await settle()
  t.deepEqual(sent.splice(0), ['STATUS=0 of 1'])
  becomes('0 of 1')
  clock.advance(18_000)
  await settle()
  t.deepEqual(sent, [])
  becomes('1 of 1')
  manager.close()
  t.is(clock.timers, 0)
})

test('a message waits for the one before it, and a sign of life never waits', async t => {
  const first = Promise.withResolvers<void>()
  const { clock, sent, manager, settle } = scene(SYSTEMD, message =>
    message.startsWith('READY') ? first.promise : Promise.resolve(),
  )
  manager.ready()
  for (let i = 0; i < 20; i++) {
    clock.advance(30_000)
    await settle()
  }
  for (let i = 0; i < 20; i++) manager.reloading()
  await settle()
  t.is(sent.length, 1)
  first.resolve()
  await settle()
  t.is(sent.length, 8)
  t.true(sent.slice(1).every(message => message.startsWith('RELOADING')))
})

test('a manager that takes nothing is complained about once', async t => {
  const { clock, logged, manager, settle } = scene(SYSTEMD, () => Promise.reject(new Error('no such program')))
  manager.ready()
  await settle()
  clock.advance(30_000)
  await settle()
  t.deepEqual(logged, ['warn  systemd cannot be told how we are reason="no such program"\n'])
})

test('without a manager nothing is sent and no timer runs', async t => {
  const { clock, sent, manager, settle } = scene({ WATCHDOG_USEC: '60000000' }, () => Promise.resolve())
  manager.ready()
  manager.reloading()
  manager.stopping()
  await settle()
  t.deepEqual([sent.length, clock.timers], [0, 0])
})

test('a watchdog that waits for another process, or for nothing sensible, is not fed', t => {
  t.is(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' }, 7), 60_000)
  t.is(watchdogMs({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' }, 8), undefined)
  for (const written of ['', '0', '-1', 'x']) t.is(watchdogMs({ WATCHDOG_USEC: written }, 8), undefined, written)
  t.is(watchdogMs({}, 8), undefined)
})
