import { plainText } from '../../common/wire/plain-text.ts'
import type { Finding, FindingCode, Severity } from './doctor/finding.ts'
import type { DoctorReport, PeerReport } from './doctor/report.ts'
import { formatPath } from './format-status.ts'
import { sentence, wrap } from './text-layout.ts'
import { type PageStyle, PLAIN_PAGE, paint } from './text-table.ts'

const MARKS: Readonly<Record<Severity, string>> = { ok: 'ok', note: 'note', problem: 'PROBLEM' }
const TONES = { ok: 'good', note: 'fair', problem: 'bad' } as const
const MARK_WIDTH = 9
/** Few people read longer lines well, however wide their terminal. */
const MAX_WIDTH = 100

/** The chapters of the page, in the order of reading, each with the beginnings of its codes. */
const CHAPTERS: readonly (readonly [title: string, codes: RegExp])[] = [
  ['This device', /^(agent|config|clock|file|listening|ipv6|mtu|lan)/],
  ['Relays', /^relay-/],
  ['Network', /^(dht-|link-|nat-|udp-|web-|carrier-|port-mapping-|reachable|unreachable)/],
  ['Services', /^(service-|forward-)/],
  ['Peers', /^(peers?-|stranger-|network-)/],
]

/** What the doctor found, as a page for people: what is wrong or could be better in full, the rest in one line each. */
export function formatDoctor(report: DoctorReport, page: PageStyle = PLAIN_PAGE): string {
  const style = { ...page, width: Math.min(Math.max(page.width, 40), MAX_WIDTH) }
  const chapters = CHAPTERS.flatMap(([title, codes]) => {
    const found = report.findings.filter(({ code }) => codes.test(code satisfies FindingCode))
    if (found.length === 0) return []
    return [`${paint(title, 'head', style)}\n${found.map(one => formatFinding(one, report, style)).join('')}`]
  })
  return `${chapters.join('\n')}\n${wrap(verdict(report.findings), style.width, '')}\n`
}

function formatFinding(found: Finding, { peers, findings }: DoctorReport, style: PageStyle): string {
  const { severity, subject, text, remedy, gain } = found
  const indent = ' '.repeat(MARK_WIDTH + 2)
  const block = (mark: string, words: string) =>
    `  ${paint(mark, TONES[severity], style)}${' '.repeat(MARK_WIDTH - mark.length)}${wrap(plain(words), style.width - MARK_WIDTH - 2, indent)}\n`
  const peer = peers.find(({ name }) => name === subject && found.code.startsWith('peer-'))
  const about = subject === null ? sentence(text) : `${subject}: ${text}.`
  const advice =
    remedy === null || wasGiven(remedy, found, findings)
      ? ''
      : block('', `> ${sentence(gain === null ? remedy : `${remedy}: ${gain}`)}`)
  return `${block(MARKS[severity], about)}${advice}${peer ? formatWays(peer, style) : ''}`
}

/** What the network's own finding advised need not be said again of each peer. */
function wasGiven(remedy: string, found: Finding, findings: readonly Finding[]): boolean {
  const before = findings.slice(0, findings.indexOf(found))
  return before.some(other => other.remedy !== null && remedy.endsWith(other.remedy))
}

/** The ways to a peer, each with what came of it; a direct one in use needs no list of those that lost. */
function formatWays({ path, ways }: PeerReport, { width }: PageStyle): string {
  const indent = ' '.repeat(MARK_WIDTH + 4)
  const inUse = path && ways.some(({ result }) => result === 'in-use')
  const used = inUse ? [`in use: ${formatPath(path)}`] : []
  const failed = inUse && path.kind !== 'relay' ? [] : ways.filter(({ result }) => result === 'failed')
  const lines = [...used, ...failed.map(wayFailed)]
  return lines.map(text => `${indent}${wrap(plain(text), width - indent.length - 2, `${indent}  `)}\n`).join('')
}

/** Without what the way's own name says already. */
function wayFailed({ way, reason }: PeerReport['ways'][number]): string {
  const [, endpoint] = way.split(' ')
  if (reason === null) return `failed: ${way}`
  const news = endpoint ? reason.replace(`no TCP connection to ${endpoint}: `, '').replace(` ${endpoint}`, '') : reason
  return `failed: ${way}: ${news}`
}

function verdict(findings: readonly Finding[]): string {
  const count = (severity: Severity) => findings.filter(one => one.severity === severity).length
  const [problems, notes] = [count('problem'), count('note')]
  const could = notes === 0 ? '' : `; ${notes} ${notes === 1 ? 'thing' : 'things'} could be better`
  if (problems === 0) return `Nothing is wrong${could}.`
  return `${problems} ${problems === 1 ? 'problem' : 'problems'}${could}.`
}

/** Names and reasons come from others: none of them may drive the terminal or forge a row. */
function plain(text: string): string {
  return plainText(text).slice(0, 600)
}
