import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../common/wire/endpoint.ts'

/**
 * What travels beside the bytes. A data channel tells text from binary messages, so bytes go as binary messages of at
 * most 64 KiB with nothing around them, and these go as text:
 *
 *   hello VERSION WINDOW OUTSIDE PADDING   first message each way: how much may be in flight towards the sender, and
 *                                          the receiver's endpoint as the sender sees it
 *   credit TOTAL                           how much may have been sent since the start, in all
 *   end                                    no byte follows
 *   end-seen                               the answer to `end`: all bytes before it have arrived
 *
 * A text of an unknown first word is ignored, so that later versions may add some.
 */
export type StreamControl =
  | { readonly kind: 'hello'; readonly window: number; readonly outside: Endpoint | undefined }
  | { readonly kind: 'credit'; readonly total: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'end-seen' }

const VERSION = 1
const MIN_WINDOW = 128 * 1024
const MAX_WINDOW = 64 * 1024 * 1024
const MAX_TEXT = 2048

/**
 * Makes `hello` longer than one packet of the MTU in use, so that its arrival proves that full packets pass: a path
 * that swallows them carries handshakes and heartbeats, and then not one block of data.
 */
const HELLO_LENGTH = 1400

/** Charged for each message on top of its bytes: about what a small one costs to hold, so that a flood of them is bounded too. */
export const MESSAGE_COST = 256

export function formatControl(control: StreamControl): string {
  switch (control.kind) {
    case 'hello': {
      const outside = control.outside ? formatEndpoint(control.outside) : '-'
      return `hello ${VERSION} ${control.window} ${outside} `.padEnd(HELLO_LENGTH, '.')
    }
    case 'credit':
      return `credit ${control.total}`
    default:
      return control.kind
  }
}

/** A control text, `unknown` for one that a later version may know, or undefined for what no version sends. */
export function parseControl(text: string): StreamControl | 'unknown' | undefined {
  if (text.length > MAX_TEXT) return undefined
  const [word, ...fields] = text.split(' ')
  switch (word) {
    case 'hello': {
      const [version, window, outside = ''] = fields
      const bytes = wholeNumber(window)
      if (version !== String(VERSION) || bytes === undefined || bytes < MIN_WINDOW || bytes > MAX_WINDOW)
        return undefined
      return { kind: 'hello', window: bytes, outside: parseEndpoint(outside) }
    }
    case 'credit': {
      const total = wholeNumber(fields[0])
      return total === undefined ? undefined : { kind: 'credit', total }
    }
    case 'end':
    case 'end-seen':
      return { kind: word }
    default:
      return 'unknown'
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
