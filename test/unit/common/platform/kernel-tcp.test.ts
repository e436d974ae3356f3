import test from 'ava'
import { resentShare, tcpSegmentsIn, tcpSendBufferIn } from '../../../../common/platform/kernel-tcp.ts'

const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm InSegs OutSegs RetransSegs InErrs
Tcp: 1 13556325 13504708 43891 0
Udp: InDatagrams
Udp: 7
`

test('the counters of the kernel are found by their names', t => {
  t.deepEqual(tcpSegmentsIn(SNMP), { sent: 13_504_708, again: 43_891 })
})

test('a file of another form tells nothing', t => {
  for (const text of [
    '',
    'Tcp: OutSegs RetransSegs\n',
    'Tcp: OutSegs\nTcp: 5\n',
    'Tcp: OutSegs RetransSegs\nTcp: x y\n',
  ]) {
    t.is(tcpSegmentsIn(text), undefined)
  }
})

test('the send buffer may grow to the third of three numbers', t => {
  t.is(tcpSendBufferIn('4096\t16384\t4194304\n'), 4_194_304)
  for (const text of ['', '4096', '4096 16384 many', '1 2 -3']) t.is(tcpSendBufferIn(text), undefined)
})

test('the share that was sent again is taken between two looks, and of some segments at least', t => {
  t.is(resentShare({ sent: 1_000, again: 10 }, { sent: 2_000, again: 15 }), 0.005)
  t.is(resentShare({ sent: 1_000, again: 10 }, { sent: 1_010, again: 11 }), undefined)
  t.is(resentShare(undefined, { sent: 1_010, again: 11 }), undefined)
})
