import { createServer } from 'node:http'
import { CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import { type Endpoint, formatEndpoint } from '../common/wire/endpoint.ts'

export interface AdminServer {
  readonly local: Endpoint
  close(): Promise<void>
}

export interface AdminPages {
  healthy(): boolean
  /** Prometheus text. */
  metrics(): string
}

/** Serves `/healthz` and `/metrics`. It knows no visitors, so its address should be one that only the owner reaches. */
export function openAdminServer(listen: Endpoint, pages: AdminPages): Promise<AdminServer> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8 * 1024 })
  server.maxConnections = 64
  server.on('request', (request, response) => {
    const path = request.method === 'GET' ? request.url : undefined
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(pages.metrics())
    } else if (path === '/healthz') {
      response.writeHead(pages.healthy() ? 200 : 503).end(pages.healthy() ? 'ok\n' : 'going away\n')
    } else {
      response.writeHead(404).end('not found\n')
    }
  })
  server.on('clientError', (_cause, socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', cause => {
      const code = systemCodeOf(cause) === 'EADDRINUSE' ? 'port-in-use' : 'io'
      const message = `cannot listen on admin ${formatEndpoint(listen)}: ${reasonOf(cause)}; choose another port in admin`
      reject(new CulvertError(code, message, { cause }))
    })
    server.listen({ host: listen.address, port: listen.port }, () => {
      const bound = server.address()
      const named = bound !== null && typeof bound === 'object'
      resolve({
        local: named ? { address: bound.address, port: bound.port } : listen,
        close: () =>
          new Promise(done => {
            server.close(() => done())
            server.closeAllConnections()
          }),
      })
    })
  })
}
