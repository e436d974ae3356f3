import { once } from 'node:events'
import test from 'ava'
import type { SessionStream } from '../../agent/session/stream.ts'
import type { CulvertError } from '../../common/errors.ts'
import { createServiceScene, startTcpService } from './service-scene.ts'

test('who may not use a service any more is cut off from it, and from nothing else', async t => {
  const echo = await startTcpService(socket => socket.pipe(socket))
  t.teardown(() => echo.server.close())
  const target = `tcp://127.0.0.1:${echo.port}`
  const scene = await createServiceScene(t, {
    all: { target },
    family: { target, allow: ['role:family'] },
    narrowed: { target },
    gone: { target },
  })
  const { signal } = new AbortController()
  const attic = scene.office.peer(scene.attic.key.id)
  const open = async (service: string) => {
    const stream = await attic.openStream(service, signal)
    await stream.accepted()
    return stream
  }
  const echoes = async (stream: SessionStream) => {
    stream.write('x')
    t.is(String((await once(stream, 'data'))[0]), 'x')
  }
  const reason = (stream: SessionStream) =>
    new Promise(resolve => stream.once('error', (error: CulvertError) => resolve(error.code)))
  const [all, family, narrowed, gone] = await Promise.all(['all', 'family', 'narrowed', 'gone'].map(open))
  if (!all || !family || !narrowed || !gone) throw new Error('four were opened')
  for (const stream of [all, family, narrowed, gone]) await echoes(stream)

  const reasons = [narrowed, gone].map(reason)
  scene.services.offered = scene.services
    .list()
    .filter(({ name }) => name !== 'gone')
    .map(service => (service.name === 'narrowed' ? { ...service, allow: ['role:admin'] } : service))
  t.deepEqual(await Promise.all(reasons), ['not-authorized', 'not-authorized'])
  await echoes(family)

  const end = reason(family)
  scene.roles.delete('role:family')
  scene.services.review()
  t.is(await end, 'not-authorized')
  await t.throwsAsync(open('family'), { code: 'not-authorized' })
  await echoes(all)
  all.destroy()
})
