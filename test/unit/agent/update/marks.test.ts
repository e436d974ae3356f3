import test from 'ava'
import { BASE, decodeTrial, encodeTrial, type Trial, versionToRun } from '../../../../agent/update/marks.ts'
import { updateReport, updateWords } from '../../../../agent/update/outcome.ts'

const BOOT = '6f7f2a54-6d1c-4d5a-9f2e-0b8f5f0a4a11'
const TRIAL: Trial = {
  version: '0.2.0',
  bootId: BOOT,
  untilS: 1_180,
  terms: {
    before: '0.1.0',
    seconds: 180,
    relay: true,
    peers: ['laptop'],
    socket: '/run/culvert/agent.sock',
    restart: null,
  },
}
const NOW = { bootId: BOOT, uptimeS: 1_000 }
const all = () => true

test('without marks what the package brought runs', t => {
  t.is(versionToRun({ current: undefined, trial: undefined }, NOW, all), BASE)
})

test('a version on trial runs until its time is up, in the boot that it began in', t => {
  for (const current of [undefined, '0.1.5']) {
    const marks = { current, trial: TRIAL }
    const before = current ?? BASE
    t.is(versionToRun(marks, NOW, all), '0.2.0')
    t.is(versionToRun(marks, { ...NOW, uptimeS: 1_179 }, all), '0.2.0')
    t.is(versionToRun(marks, { ...NOW, uptimeS: 1_180 }, all), before)
    t.is(versionToRun(marks, { bootId: BOOT.replaceAll('f', 'e'), uptimeS: 20 }, all), before)
    t.is(
      versionToRun(marks, NOW, version => version !== '0.2.0'),
      before,
    )
  }
})

test('what is marked and not there is passed over', t => {
  t.is(
    versionToRun({ current: '0.1.5', trial: undefined }, NOW, () => false),
    BASE,
  )
})

test('a trial is one line for the launcher and one for whoever watches', t => {
  const text = encodeTrial(TRIAL)
  t.regex(text, /^0\.2\.0 6f7f2a54-6d1c-4d5a-9f2e-0b8f5f0a4a11 1180\n\{"before".*\}\n$/)
  t.deepEqual(decodeTrial(text), TRIAL)
  for (let length = 0; length < text.length; length++) t.is(decodeTrial(text.slice(0, length)), undefined)
  t.is(decodeTrial(text.replace('0.2.0', '../..')), undefined)
})

test('what there is to say: nothing, a trial, how it ended, and a trial that nobody saw the end of', t => {
  const none = { current: undefined, trial: undefined }
  t.is(updateReport(none, undefined, NOW), null)
  t.is(updateWords(updateReport({ ...none, trial: TRIAL }, undefined, NOW)), '0.2.0 is on trial')
  const reason = '0.2.0 reached no relay in 180 s'
  const outcome = { version: '0.2.0', before: '0.1.0', state: 'rolled-back', reason, at: 0 } as const
  t.is(
    updateWords(updateReport(none, outcome, NOW)),
    'the update to 0.2.0 was rolled back at 1970-01-01T00:00:00.000Z: 0.2.0 reached no relay in 180 s',
  )
  t.is(updateWords(updateReport(none, { ...outcome, state: 'kept', reason: null }, NOW)), undefined)
  t.regex(
    updateWords(updateReport({ ...none, trial: TRIAL }, outcome, { ...NOW, bootId: 'another' })) ?? '',
    /rolled back: the machine was restarted/,
  )
  t.regex(updateWords(updateReport({ ...none, trial: TRIAL }, outcome, { ...NOW, uptimeS: 2_000 })) ?? '', /ran out/)
})
