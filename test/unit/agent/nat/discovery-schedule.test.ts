import test from 'ava'
import { serversToAsk } from '../../../../agent/nat/discovery-schedule.ts'

const at = (address: string, interfaceName = 'eth0') => ({
  interfaceName,
  address,
  family: address.includes(':') ? (6 as const) : (4 as const),
  prefixLength: 24,
  loopback: interfaceName === 'lo',
})
const LOOPBACK = [at('127.0.0.1', 'lo'), at('::1', 'lo')]
const server = (address: string) => ({ address, port: 3478 })
const FOUR = server('192.0.2.1')
const SIX = server('2001:db8::1')
const ask = (servers: readonly (typeof FOUR)[], ...addresses: ReturnType<typeof at>[]) =>
  serversToAsk(servers, [...LOOPBACK, ...addresses])

test('a loopback address or a container bridge is no IPv4 to ask a server over', t => {
  t.deepEqual(ask([FOUR], at('2001:db8::9')), [])
  t.deepEqual(ask([FOUR], at('2001:db8::9'), at('172.17.0.1', 'docker0')), [])
  t.deepEqual(ask([FOUR, SIX], at('2001:db8::9')), [[SIX]])
  t.deepEqual(ask([SIX], at('192.168.1.20')), [])
})

test('with both IP versions IPv4 is asked first, where the NATs are', t => {
  t.deepEqual(ask([SIX, FOUR], at('2001:db8::9'), at('192.168.1.20')), [[FOUR], [SIX]])
})

test('a server on this machine is asked over loopback, and no other one', t => {
  t.deepEqual(ask([server('127.0.0.2'), server('::1')]), [[server('127.0.0.2')], [server('::1')]])
  t.deepEqual(ask([FOUR, SIX]), [])
})
