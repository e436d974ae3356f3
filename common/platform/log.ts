import { fstatSync } from 'node:fs'
import { plainText } from '../wire/plain-text.ts'
import type { Clock } from './clock.ts'

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What may stand beside a message. Never put a secret or a payload here. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** One event, one line. */
export interface Log {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  /** A log whose lines begin with this area's name. */
  area(name: string): Log
}

export interface LogOptions {
  readonly level: LogLevel
  readonly write: (line: string) => void
  /** journald reads the severity from a `<3>` prefix (sd-daemon(3)); a terminal wants words. */
  readonly style: 'journal' | 'words'
  /** What dates each line of words; journald dates them by itself. */
  readonly clock?: Pick<Clock, 'wallNow'>
}

/** How lines are to look for whoever reads this process's stderr. */
export function logStyle(environment: Environment, clock: Clock): Pick<LogOptions, 'style' | 'clock'> {
  return journalReadsStderr(environment) ? { style: 'journal' } : { style: 'words', clock }
}

/**
 * Whether journald reads this process's stderr, named by device and inode (systemd.exec(5)): a terminal, or a pipe, of a
 * process that a service started inherits the variable and is none of journald's.
 */
export function journalReadsStderr(environment: Environment, stderr = 2): boolean {
  const named = environment.JOURNAL_STREAM
  if (named === undefined) return false
  try {
    const { dev, ino } = fstatSync(stderr, { bigint: true })
    return named === `${dev}:${ino}`
  } catch {
    return false
  }
}

type Environment = Readonly<Record<string, string | undefined>>

const PRIORITY: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 }

/** A log that writes `level area: message key=value ...` lines, with the time (UTC, ISO 8601) before them if there is a clock. The level can be changed while it runs. */
export function createLog(options: LogOptions): Log & { setLevel(level: LogLevel): void } {
  let limit = LOG_LEVELS.indexOf(options.level)
  const write = (level: LogLevel, area: string, message: string, fields: LogFields | undefined) => {
    if (LOG_LEVELS.indexOf(level) > limit) return
    const time = options.clock ? `${new Date(options.clock.wallNow()).toISOString()} ` : ''
    const head = options.style === 'journal' ? `<${PRIORITY[level]}>` : `${time}${level.padEnd(5)} `
    options.write(`${head}${area === '' ? '' : `${area}: `}${oneLine(message)}${formatFields(fields)}\n`)
  }
  const at = (area: string): Log => ({
    error: (message, fields) => write('error', area, message, fields),
    warn: (message, fields) => write('warn', area, message, fields),
    info: (message, fields) => write('info', area, message, fields),
    debug: (message, fields) => write('debug', area, message, fields),
    area: name => at(name),
  })
  return {
    ...at(''),
    setLevel(level) {
      limit = LOG_LEVELS.indexOf(level)
    },
  }
}

function formatFields(fields: LogFields | undefined): string {
  if (!fields) return ''
  let text = ''
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const shown = oneLine(String(value))
    text += ` ${key}=${/[\s"=]/.test(shown) || shown === '' ? JSON.stringify(shown) : shown}`
  }
  return text
}

/** A peer chooses names and reasons; none of them may forge a second line, drive a terminal or turn its text around. */
function oneLine(text: string): string {
  return plainText(text).slice(0, MAX_TEXT_CHARS)
}

const MAX_TEXT_CHARS = 500

/**
 * Lets one key through once per period, and at most `limit` keys in any period, so that no number of strangers can fill
 * the log.
 */
export function createRateGate(clock: Clock, periodMs: number, limit = 20): (key: string) => boolean {
  /** Oldest first. */
  const passedAt = new Map<string, number>()
  return key => {
    const now = clock.now()
    for (const [passed, at] of passedAt) {
      if (now - at < periodMs) break
      passedAt.delete(passed)
    }
    if (passedAt.has(key) || passedAt.size >= limit) return false
    passedAt.set(key, now)
    return true
  }
}
