import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { openRelease } from '../../agent/update/install-release.ts'
import { readSource } from '../../agent/update/release-source.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { makeCertificate, testDir } from '../relay/certificate.ts'
import { FakeClock } from '../unit/fake-clock.ts'
import { RELEASE_KEY, releaseOf } from './test-release.ts'

const ACCEPT = { keys: [RELEASE_KEY.id], arch: process.arch, version: '0.1.0', allowDowngrade: false }

/** A server with a certificate that counts, and its URL. */
async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const directory = testDir(t)
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')]
  makeCertificate('localhost', cert, key)
  setDefaultCACertificates([...getCACertificates(), readFileSync(cert, 'utf8')])
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

function sourceAt(url: string, clock: Clock = systemClock) {
  return readSource(url, { signal: AbortSignal.timeout(60_000), env: {}, clock })
}

test.serial('a release is read from a URL, also from where that leads on to', async t => {
  const bytes = releaseOf('0.2.0', 'x'.repeat(100_000))
  const url = await serve(t, (request, response) => {
    if (request.url === '/file') response.end(bytes)
    else response.writeHead(302, { location: '/file' }).end()
  })
  const parts: Buffer[] = []
  for await (const part of sourceAt(`${url}/latest`)) parts.push(part)
  t.deepEqual(Buffer.concat(parts), bytes)
})

test.serial('one that leads in circles, out of https, or to an error is refused', async t => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/plain') response.writeHead(302, { location: 'http://127.0.0.1/file' }).end()
    else if (request.url === '/circle') response.writeHead(302, { location: '/circle' }).end()
    else response.writeHead(404).end()
  })
  await t.throwsAsync(sourceAt(`${url}/plain`).next(), { code: 'usage', message: /is not https/ })
  await t.throwsAsync(sourceAt(`${url}/circle`).next(), { code: 'io', message: /leads on and on/ })
  await t.throwsAsync(sourceAt(`${url}/none`).next(), { code: 'io', message: /it answered 404/ })
})

test.serial('where no known authority vouches for the server, another way is named', async t => {
  const known = getCACertificates()
  const url = await serve(t, (_, response) => response.end())
  setDefaultCACertificates(known)
  await t.throwsAsync(sourceAt(url).next(), {
    code: 'io',
    message: /self-signed certificate; fetch it otherwise, and name/,
  })
})

test.serial('what comes byte by byte is given up after an hour, and what is cut off says so', async t => {
  const url = await serve(t, (request, response) => {
    response.write('x', () => request.url === '/cut' && response.destroy())
  })
  const clock = new FakeClock()
  const slow = sourceAt(`${url}/slow`, clock)
  t.is((await slow.next()).value?.toString(), 'x')
  const next = slow.next()
  clock.advance(3_600_000)
  await t.throwsAsync(next, { code: 'io', message: /it took more than 60 min$/ })
  const cut = async () => {
    for await (const _ of sourceAt(`${url}/cut`));
  }
  await t.throwsAsync(cut, { code: 'io', message: /the connection was cut$/ })
})

test.serial('no error tells the name and password of a URL', async t => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/plain') response.writeHead(302, { location: 'http://me:secret@127.0.0.1/' }).end()
    else if (request.url === '/gone') response.destroy()
    else response.writeHead(404).end()
  })
  const secret = url.replace('//', '//me:secret@')
  for (const path of ['plain', 'none', 'gone']) {
    const { message = '' } = (await t.throwsAsync(sourceAt(`${secret}/${path}`).next())) ?? {}
    t.regex(message, /https?:\/\/(?:localhost|127)/)
    t.notRegex(message, /secret/)
  }
})

test.serial('what is not for this machine is not fetched beyond its head', async t => {
  let sent = 0
  const closed = Promise.withResolvers<void>()
  const url = await serve(t, (_, response) => {
    response.on('close', closed.resolve)
    const more = () => {
      sent += 65_536
      if (!response.destroyed) response.write(Buffer.alloc(65_536), more)
    }
    response.write(releaseOf('0.0.1', 'x'), more)
  })
  const source = sourceAt(`${url}/old`)
  await t.throwsAsync(openRelease(source, ACCEPT), { code: 'update-refused', message: /0\.0\.1 is older/ })
  await source.return(undefined)
  await closed.promise
  t.true(sent < 64 * 1024 * 1024, `${sent} bytes`)
})
