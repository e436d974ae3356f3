import { request } from 'node:http'
import { CulvertError, reasonOf } from '../../../common/errors.ts'

export interface DeviceRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** A longer answer is an error. */
  readonly maxBytes: number
  /** Bounds the whole exchange. */
  readonly signal: AbortSignal
  /** Our address towards the device: it decides whose mapping it is. */
  readonly localAddress: string
}

export interface DeviceAnswer {
  readonly status: number
  readonly body: string
}

/** One HTTP exchange with a device on the LAN: no redirects, no proxy, no kept connection. Rejects with `io`. */
export function askDevice(options: DeviceRequest): Promise<DeviceAnswer> {
  const { url, method, body, maxBytes, signal, localAddress } = options
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      exchange.destroy()
      reject(new CulvertError('io', `${method} ${url.href}: ${reasonOf(cause)}`, { cause }))
    }
    const exchange = request(
      url,
      {
        method,
        agent: false,
        localAddress,
        family: 4,
        signal,
        headers: {
          ...options.headers,
          Connection: 'close',
          ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
        },
      },
      response => {
        const chunks: Buffer[] = []
        let length = 0
        response.on('data', (chunk: Buffer) => {
          length += chunk.length
          chunks.push(chunk)
          if (length > maxBytes) fail(new RangeError(`the answer is longer than ${maxBytes} bytes`))
        })
        response.on('error', fail)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
      },
    )
    exchange.on('error', fail)
    exchange.end(body)
  })
}
