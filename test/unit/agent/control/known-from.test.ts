import test from 'ava'
import { oldFinding } from '../../../../agent/control/doctor/peer-findings.ts'
import { formatPeers } from '../../../../agent/control/format-status.ts'
import { type KnownFrom, knownFrom, oldestHope } from '../../../../agent/control/known-from.ts'
import { HOME } from '../../../vectors/situations.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

const DAY = 24 * 3600
const nobody = { pinned: false, member: false, online: false, addresses: [] }

test('each source is named once, with the age of the newest that it says', t => {
  t.deepEqual(knownFrom({ ...nobody, pinned: true }), [{ source: 'config', ageS: null }])
  const addresses = [
    { source: 'lan', ageMs: 2_000 },
    { source: 'record', ageMs: 9_000 },
    { source: 'record', ageMs: 3_000 },
    { source: 'memory' },
    { source: 'memory' },
  ] as const
  t.deepEqual(knownFrom({ pinned: true, member: true, online: true, addresses }), [
    { source: 'config', ageS: null },
    { source: 'roster', ageS: null },
    { source: 'relay', ageS: 0 },
    { source: 'lan', ageS: 2 },
    { source: 'record', ageS: 3 },
    { source: 'memory', ageS: null },
  ])
})

test('what is known is old only when everything is, by a week', t => {
  const record = (days: number): KnownFrom => ({ source: 'record', ageS: days * DAY })
  const config: KnownFrom = { source: 'config', ageS: null }
  t.is(oldestHope([config]), undefined)
  t.is(oldestHope([config, record(6)]), undefined)
  t.is(oldestHope([config, record(12), { source: 'dht', ageS: 9 * DAY }]), 9 * DAY)
  t.is(oldestHope([config, record(12), { source: 'lan', ageS: 5 }]), undefined)
  t.is(oldestHope([config, record(12), { source: 'relay', ageS: 0 }]), undefined)
})

test('who asks after a peer that is away is told how old the last word on it is', t => {
  const [laptop] = SAMPLE_STATUS.peers
  if (!laptop) return t.fail('no peer')
  const away = { ...laptop, path: null, state: 'offline', knownFrom: [{ source: 'record', ageS: 12 * DAY }] } as const
  const examined = { ways: [], here: HOME, there: HOME, silent: false }
  const finding = oldFinding({ ...examined, status: away })
  t.like(finding, { code: 'peer-known-long-ago', severity: 'note', subject: 'laptop' })
  t.regex(finding?.text ?? '', /was told 12 d 0 h ago/)
  t.is(oldFinding({ ...examined, status: { ...away, path: laptop.path } }), undefined)
  t.regex(formatPeers([away]), /Where it is was last said 12 d 0 h ago \(record\)/)
  t.notRegex(formatPeers([{ ...away, path: laptop.path }]), /last said/)
})
