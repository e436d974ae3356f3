import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isName } from '../../common/wire/name.ts'
import { type ConfigFault, textFault, valueAt } from './config-fault.ts'
import { parseJsonText } from './json-text.ts'
import { nameFromHost } from './name.ts'

/** Debian's place for state; with it the socket goes where systemd's RuntimeDirectory= is. */
const SYSTEM_STATE_DIR = '/var/lib/culvert'
export const SYSTEM_CONTROL_SOCKET = '/run/culvert/agent.sock'

/** What short commands need of a config. */
export interface ConfigBasics {
  readonly name: string
  /** Absolute, as is the socket. */
  readonly stateDir: string
  readonly controlSocket: string
}

/**
 * The basics of a config text that stands at `path`, or undefined when one of them has a fault. Faults elsewhere do not
 * matter, and the schema is not loaded: that alone would take as long as all the rest of such a command.
 */
export function basicsOf(text: string, path: string): ConfigBasics | undefined {
  const json = parseJsonText(withoutMark(text))
  return json.ok ? basicsIn(json.value, path) : undefined
}

/** What keeps a config text from being read at all. */
export function syntaxFaultOf(text: string): ConfigFault | undefined {
  const json = parseJsonText(withoutMark(text))
  return json.ok ? undefined : textFault(json.fault)
}

/** The state directory that `init` writes into a config at this path. */
export function usualStateDir(path: string): string {
  return resolve(path).startsWith('/etc/') ? SYSTEM_STATE_DIR : 'state'
}

/** Where the agent most likely listens whose config is at this path, when nothing can be read in it. */
export function usualControlSocket(path: string): string {
  return controlSocketIn({ stateDir: usualStateDir(path) }, path) ?? SYSTEM_CONTROL_SOCKET
}

function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '')
}

function basicsIn(written: unknown, path: string): ConfigBasics | undefined {
  const stateDir = valueAt(written, ['stateDir'])
  const name = valueAt(written, ['name']) ?? nameFromHost(hostname())
  const controlSocket = controlSocketIn(written, path)
  if (typeof stateDir !== 'string' || stateDir === '' || stateDir.includes('\0')) return undefined
  if (typeof name !== 'string' || !isName(name) || controlSocket === undefined) return undefined
  return { name, stateDir: resolve(dirname(resolve(path)), stateDir), controlSocket }
}

/** Where the control socket is, given the config as parsed JSON that stands at `path`; undefined without a stateDir. */
export function controlSocketIn(written: unknown, path: string): string | undefined {
  const base = dirname(resolve(path))
  const socket = valueAt(written, ['controlSocket'])
  if (typeof socket === 'string') return resolve(base, socket)
  const stateDir = valueAt(written, ['stateDir'])
  if (typeof stateDir !== 'string' || socket !== undefined) return undefined
  const state = resolve(base, stateDir)
  return state === SYSTEM_STATE_DIR ? SYSTEM_CONTROL_SOCKET : join(state, 'agent.sock')
}
