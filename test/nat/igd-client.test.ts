import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import test from 'ava'
import { askDevice } from '../../agent/nat/upnp/device-http.ts'
import type { FoundDevice } from '../../agent/nat/upnp/gateway-search.ts'
import { IgdClient } from '../../agent/nat/upnp/igd-client.ts'
import { UpnpGateway } from '../../agent/nat/upnp/upnp-gateway.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'

type Answer = (action: string, body: string, response: ServerResponse, request: IncomingMessage) => void

/** A device on loopback that answers as the test says. */
async function device(answer: Answer): Promise<{ url: URL } & AsyncDisposable> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () =>
      answer(/#(\w+)/.exec(String(request.headers.soapaction))?.[1] ?? '', body, response, request),
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  const port = typeof bound === 'object' ? bound?.port : undefined
  return {
    url: new URL(`http://127.0.0.1:${port}/control`),
    [Symbol.asyncDispose]() {
      server.closeAllConnections()
      return new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

const envelope = (body: string) => `<s:Envelope xmlns:s="e"><s:Body>${body}</s:Body></s:Envelope>`
const values = (action: string, fields = '') => envelope(`<u:${action}Response>${fields}</u:${action}Response>`)
const fault = (code: number) =>
  envelope(`<s:Fault><detail><UPnPError><errorCode>${code}</errorCode></UPnPError></detail></s:Fault>`)

function gatewayAt(url: URL, version: 1 | 2): UpnpGateway {
  const type = `urn:schemas-upnp-org:service:WANIPConnection:${version}`
  const client = new IgdClient(systemClock, { type, version, controlUrl: url }, '127.0.0.1')
  const found: FoundDevice = { location: url, address: '127.0.0.1', bootId: undefined, localAddress: '127.0.0.1' }
  return new UpnpGateway(client, found, { clock: systemClock, random: systemRandom })
}

const WISH = {
  protocol: 'tcp',
  internalPort: 4000,
  externalPort: 4000,
  leaseS: 3600,
  description: 'culvert & co',
} as const
const never = new AbortController().signal

test('a router that knows permanent mappings only gets one, and what it is told is escaped', async t => {
  const asked: string[] = []
  await using router = await device((action, body, response) => {
    asked.push(`${action} ${/<NewLeaseDuration>(\d+)/.exec(body)?.[1] ?? ''}`.trim())
    if (action === 'GetSpecificPortMappingEntry') response.writeHead(500).end(fault(714))
    else if (body.includes('<NewLeaseDuration>0<') && body.includes('culvert &amp; co')) response.end(values(action))
    else response.writeHead(500).end(fault(725))
  })
  t.like(await gatewayAt(router.url, 1).map(WISH, never), {
    kind: 'granted',
    mapping: { externalPort: 4000, leaseS: 0 },
  })
  t.deepEqual(asked, ['GetSpecificPortMappingEntry', 'AddPortMapping 3600', 'AddPortMapping 0'])
})

test('nonsense, silence and a broken connection are no answer, each with a reason; an abort is one', async t => {
  const ways: readonly Answer[] = [
    (_, __, response) => response.end('<html>'),
    (_, __, response) => response.end('x'.repeat(100_000)),
    (_, __, response) => response.destroy(),
    (_, __, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
  ]
  for (const way of ways) {
    await using router = await device(way)
    const outcome = await gatewayAt(router.url, 1).map(WISH, never)
    t.is(outcome.kind, 'no-answer')
    t.regex(outcome.kind === 'no-answer' ? outcome.message : '', /the router /)
  }
  const stop = new AbortController()
  await using mute = await device(() => stop.abort())
  t.is((await gatewayAt(mute.url, 1).map(WISH, stop.signal)).kind, 'aborted')
})

test('an outside address counts only when it is one', async t => {
  const told = async (address: string) => {
    const field = `<NewExternalIPAddress>${address}</NewExternalIPAddress>`
    await using router = await device((action, _, response) => void response.end(values(action, field)))
    return await gatewayAt(router.url, 1).externalAddress(never)
  }
  t.deepEqual(await told('198.51.100.7'), { kind: 'address', address: '198.51.100.7' })
  for (const address of ['', '0.0.0.0', 'example.org', '2001:db8::1']) t.is((await told(address)).kind, 'refused')
})

test('a router that does not tell its starts apart is asked for the mapping itself', async t => {
  let entry = ''
  await using router = await device((action, _, response) => {
    if (entry === '') response.writeHead(500).end(fault(714))
    else response.end(values(action, `<NewInternalClient>${entry}</NewInternalClient>`))
  })
  const gateway = gatewayAt(router.url, 1)
  const mapping = { protocol: 'tcp', internalPort: 4000, externalPort: 4000, leaseS: 3600 } as const
  t.is(gateway.checkCost, 'connection')
  t.is(await gateway.check([mapping], never), 'lost')
  entry = '127.0.0.1'
  t.is(await gateway.check([mapping], never), 'kept')
  entry = '192.168.1.9'
  t.is(await gateway.check([mapping], never), 'lost')
})

test('a description that never ends is cut off, and a redirect is not followed', async t => {
  let asked = 0
  await using router = await device((_, __, response, request) => {
    asked++
    if (request.url === '/moved') response.writeHead(302, { location: '/long' }).end()
    else for (let i = 0; i < 64; i++) response.write('<a>'.repeat(4096))
  })
  const ask = (path: string) =>
    askDevice({
      url: new URL(path, router.url.href),
      method: 'GET',
      maxBytes: 128 * 1024,
      signal: never,
      localAddress: '127.0.0.1',
    })
  await t.throwsAsync(ask('/long'), { code: 'io', message: /longer than 131072 bytes/ })
  t.is((await ask('/moved')).status, 302)
  t.is(asked, 2)
})
