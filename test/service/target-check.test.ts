import { once } from 'node:events'
import { createServer } from 'node:net'
import test from 'ava'
import type { Target } from '../../agent/config/address.ts'
import { checkTargets } from '../../agent/service/target-check.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { quietPort } from '../quiet-port.ts'

test('a target that takes no connection is named with the reason, and UDP is not asked', async t => {
  const server = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') return t.fail('no port')
  const at = { host: '127.0.0.1', port: address.port }
  const look = async (...targets: readonly Target[]) => {
    const services = targets.map(target => ({ name: target.kind, target, allow: [] }))
    const faults = await checkTargets(services, { clock: systemClock, signal: new AbortController().signal })
    return faults.map(({ service, why }) => `${service.name} ${/E[A-Z]+/.exec(why)?.[0]}`)
  }
  const missing = { kind: 'unix', path: '/nonexistent/x.sock' } as const
  t.deepEqual(await look({ kind: 'tcp', ...at }, { kind: 'udp', ...at }, missing), ['unix ENOENT'])
  server.close()
  t.deepEqual(await look({ kind: 'tcp', host: '127.0.0.1', port: await quietPort() }), ['tcp ECONNREFUSED'])
})
