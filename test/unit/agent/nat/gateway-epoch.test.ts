import test from 'ava'
import { EpochWatch, isSameNatPmpEpoch, isSamePcpEpoch } from '../../../../agent/nat/gateway-epoch.ts'

const at = (epochS: number, s: number) => ({ epochS, at: s * 1000 })

test('PCP: a clock that goes as ours does, within a sixteenth and two seconds, is the same one', t => {
  t.true(isSamePcpEpoch(at(100, 0), at(3700, 3600)))
  t.true(isSamePcpEpoch(at(100, 0), at(99, 0)))
  t.true(isSamePcpEpoch(at(100, 0), at(3700 + 230, 3600)))
  t.true(isSamePcpEpoch(at(100, 0), at(3700 - 220, 3600)))
})

test('PCP: one that went back, stood still or leapt began anew', t => {
  t.false(isSamePcpEpoch(at(100, 0), at(98, 1)))
  t.false(isSamePcpEpoch(at(100, 0), at(5, 3600)))
  t.false(isSamePcpEpoch(at(100, 0), at(100, 10)))
  t.false(isSamePcpEpoch(at(100, 0), at(200, 10)))
})

test('NAT-PMP: only a clock that is behind began anew', t => {
  t.true(isSameNatPmpEpoch(at(100, 0), at(100 + 3150, 3600)))
  t.false(isSameNatPmpEpoch(at(100, 0), at(100 + 3140, 3600)))
  t.true(isSameNatPmpEpoch(at(100, 0), at(9999, 1)))
  t.false(isSameNatPmpEpoch(at(100, 0), at(0, 1)))
})

test('a restart is told once', t => {
  const watch = new EpochWatch(isSameNatPmpEpoch)
  watch.read(at(1000, 0))
  t.false(watch.takeRestart())
  watch.read(at(3, 60))
  t.true(watch.takeRestart())
  t.false(watch.takeRestart())
  watch.read(at(63, 120))
  t.false(watch.takeRestart())
})
