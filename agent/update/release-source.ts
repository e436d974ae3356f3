import { createReadStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'

const REDIRECTS = 5
/** A line that brings nothing for so long brings nothing more. */
const SILENCE_MS = 30_000

export interface SourceOptions {
  readonly signal: AbortSignal
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The bytes of a file, or of what stands at an https URL, as they come. Rejects with `io`. */
export async function* readSource(source: string, options: SourceOptions): AsyncGenerator<Buffer> {
  try {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) yield* await fetchUrl(source, options)
    else yield* createReadStream(source, { signal: options.signal })
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    if (options.signal.aborted) throw new CulvertError('aborted', 'the command was stopped', { cause: thrown })
    const missing = systemCodeOf(thrown) === 'ENOENT' ? 'there is no such file' : reasonOf(thrown)
    throw new CulvertError('io', `cannot read ${source}: ${missing}`, { cause: thrown })
  }
}

async function fetchUrl(source: string, options: SourceOptions): Promise<IncomingMessage> {
  let url = source
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const response = await get(url, options)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    if (statusCode < 300 || statusCode > 399 || headers.location === undefined) {
      throw new CulvertError('io', `cannot read ${url}: it answered ${statusCode}`)
    }
    url = new URL(headers.location, url).href
  }
  throw new CulvertError('io', `cannot read ${source}: it leads on and on`)
}

function get(written: string, { signal, env }: SourceOptions): Promise<IncomingMessage> {
  const url = URL.parse(written)
  if (url?.protocol !== 'https:') {
    throw new CulvertError('usage', `${written} is not https; give an https:// URL or a file`)
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
