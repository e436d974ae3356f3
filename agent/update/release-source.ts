import { createReadStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'

const REDIRECTS = 5
/** A line that brings nothing for so long brings nothing more. */
const SILENCE_MS = 30_000
/** 30 MB at 10 kB/s. Who sends a byte now and then shall not keep an update waiting for ever. */
const LIMIT_MS = 3_600_000

export interface SourceOptions {
  readonly signal: AbortSignal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
}

/** The bytes of a file, or of what stands at an https URL, as they come. Rejects with `io`. */
export async function* readSource(source: string, options: SourceOptions): AsyncGenerator<Buffer> {
  const late = deadline(options.clock, LIMIT_MS, options.signal)
  try {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) yield* await fetchUrl(source, { ...options, signal: late.signal })
    else yield* createReadStream(source, { signal: late.signal })
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    if (options.signal.aborted) throw new CulvertError('aborted', 'the command was stopped', { cause: thrown })
    const reason = late.signal.aborted ? `it took more than ${LIMIT_MS / 60_000} min` : wordsFor(thrown)
    throw new CulvertError('io', `cannot read ${shown(source)}: ${reason}`, { cause: thrown })
  } finally {
    late.done()
  }
}

function wordsFor(thrown: unknown): string {
  const code = systemCodeOf(thrown)
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'ECONNRESET') return 'the connection was cut'
  const reason = reasonOf(thrown)
  // The signature counts, whoever hands the file over.
  if (/SELF_SIGNED|UNABLE_TO_/.test(code ?? '')) return `${reason.split(';')[0]}; fetch it otherwise, and name the file`
  if (/^CERT_/.test(code ?? ''))
    return `${reason}; set the clock if it is wrong, or fetch it otherwise and name the file`
  return reason
}

/** A URL without the name and password that may stand in it: errors end up in logs. */
function shown(source: string): string {
  const url = URL.parse(source)
  if (!url || (url.username === '' && url.password === '')) return source
  url.username = ''
  url.password = ''
  return url.href
}

async function fetchUrl(source: string, options: SourceOptions): Promise<IncomingMessage> {
  let url = source
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const response = await get(url, options)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined) {
      throw new CulvertError('io', `cannot read ${shown(url)}: it answered ${statusCode}`)
    }
    url = new URL(headers.location, url).href
  }
  throw new CulvertError('io', `cannot read ${shown(source)}: it leads on and on`)
}

function get(written: string, { signal, env }: SourceOptions): Promise<IncomingMessage> {
  const url = URL.parse(written)
  if (url?.protocol !== 'https:') {
    throw new CulvertError('usage', `${shown(written)} is not https; give an https:// URL or a file`)
  }
  return new Promise((resolve, reject) => {
    const agent = new Agent({ proxyEnv: { ...env }, timeout: SILENCE_MS })
    const asked = request(url, { agent, signal, headers: { 'accept-encoding': 'identity', connection: 'close' } })
    asked.setTimeout(SILENCE_MS, () => asked.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)))
    asked.once('response', resolve)
    asked.once('error', reject)
    asked.end()
  })
}
