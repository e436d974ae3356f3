import test from 'ava'
import { AddressCounts, addressKey } from '../../../common/wire/address-key.ts'
import { editDistance } from '../../../relay/edit-distance.ts'
import { formatMetrics } from '../../../relay/metrics.ts'

test('metrics are written as Prometheus reads them', t => {
  const text = formatMetrics([
    { name: 'a', help: 'one\nline', type: 'gauge', samples: [{ value: 1.5 }] },
    { name: 'b', help: 'x', type: 'counter', samples: [{ labels: { reason: 'a"b\\c' }, value: Infinity }] },
  ])
  t.is(text, '# HELP a one\\nline\n# TYPE a gauge\na 1.5\n# HELP b x\n# TYPE b counter\nb{reason="a\\"b\\\\c"} +Inf\n')
})

test('an IPv6 /64 counts as one address, and IPv4 is the same however it came', t => {
  t.is(addressKey('2001:db8::1'), addressKey('2001:db8::ffff:1'))
  t.not(addressKey('2001:db8::1'), addressKey('2001:db8:0:1::1'))
  t.is(addressKey('::ffff:192.0.2.1'), addressKey('192.0.2.1'))
  t.is(addressKey('fe80::1%eth0'), addressKey('fe80::2'))
})

test('counts per address end at the limit and begin again when something goes', t => {
  const counts = new AddressCounts()
  t.true(counts.add('a', 1))
  t.false(counts.add('a', 1))
  t.true(counts.add('b', 1))
  counts.remove('a')
  t.true(counts.add('a', 1))
})

test('words are as far apart as the letters that differ', t => {
  t.deepEqual([editDistance('listen', 'lissten'), editDistance('', 'abc'), editDistance('Admin', 'admin')], [1, 3, 0])
})
