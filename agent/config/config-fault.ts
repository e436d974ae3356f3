import type { JsonFault, JsonPath } from './json-text.ts'

/** One thing wrong with a config file: where, what stands there, what is wrong with it, and what to write instead. */
export interface ConfigFault {
  /** `services.ssh.target`, `relays[0].url`, or `line 3, column 5` where the file is not JSON. */
  readonly place: string
  /** What stands there, as JSON and shortened; undefined where nothing does. */
  readonly value: string | undefined
  readonly problem: string
  readonly remedy: string
}

/** `services.ssh.target: "tcp:/x" is no target; write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:/PATH"` */
export function formatFault(fault: ConfigFault): string {
  const value = fault.value === undefined ? '' : `${fault.value} `
  return `${fault.place}: ${value}${fault.problem}; ${fault.remedy}`
}

/** What keeps a text from being JSON, by line and column. */
export function textFault({ line, column, problem, remedy }: JsonFault): ConfigFault {
  return { place: `line ${line}, column ${column}`, value: undefined, problem, remedy }
}

/** A place as people write it: `peers.laptop.id`, `relays[0]`, `peers["my box"]`. */
export function formatPlace(path: JsonPath): string {
  let place = ''
  for (const step of path) {
    if (typeof step === 'number') place += `[${step}]`
    else if (!/^[A-Za-z0-9_$-]{1,64}$/.test(step)) place += `[${showValue(step)}]`
    else place += place === '' ? step : `.${step}`
  }
  return place === '' ? 'the file' : place
}

/** A value as JSON, at most 80 characters; control characters come out escaped, so it is safe on a terminal. */
export function showValue(value: unknown): string | undefined {
  if (value === undefined) return undefined
  // A text is cut first, so that a megabyte of it is never escaped.
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 200) : value)
  // JSON leaves C1 controls be, and they drive terminals.
  const shown = text.replace(/[\u007f-\u009f\u2028\u2029]/g, '?')
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown
}

/** The value at a path of parsed JSON, or undefined. */
export function valueAt(root: unknown, path: JsonPath): unknown {
  let value = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = Reflect.get(value, step)
  }
  return value
}
