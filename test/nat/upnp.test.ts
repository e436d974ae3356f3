import test from 'ava'
import { formatCandidate } from '../../common/wire/candidate.ts'
import { NatHost, type Said } from './nat-host.ts'
import { labMissing, RouterLab } from './router-lab.ts'

const missing = labMissing()
const labTest = missing ? test.serial.skip : test.serial
const OUTSIDE = '44.128.0.10'
const BOTH = ['tcp 40001 -> 192.168.77.10:40001', 'udp 40002 -> 192.168.77.10:40002']

for (const igd of [1, 2] as const) {
  labTest(`IGD version ${igd}: both ports are mapped, told as candidates, and deleted at the end`, async t => {
    await using lab = new RouterLab({ igd, outside: OUTSIDE })
    await lab.startDaemon()
    const host = new NatHost(lab, 'a', 40_001, 40_002)
    const { report, candidates } = await host.mapped()
    t.deepEqual(report?.portMapping, {
      protocol: 'upnp',
      tcp: { address: OUTSIDE, port: 40_001 },
      udp: { address: OUTSIDE, port: 40_002 },
      verified: false,
      problem: null,
    })
    t.deepEqual(candidates?.map(formatCandidate), [
      'tcp/lan 192.168.77.10:40001',
      `tcp/mapped ${OUTSIDE}:40001`,
      `udp/mapped ${OUTSIDE}:40002`,
    ])
    await t.notThrowsAsync(lab.holds(BOTH))
    await host.close()
    await t.notThrowsAsync(lab.holds([]))
  })

  labTest(`IGD version ${igd}: two hosts that want the same ports both get some, and neither loses any`, async t => {
    await using lab = new RouterLab({ igd, outside: OUTSIDE })
    await lab.startDaemon()
    const first = new NatHost(lab, 'a', 40_001, 40_002)
    await first.mapped()
    const second = new NatHost(lab, 'b', 40_001, 40_002)
    const { report } = await second.mapped()
    t.not(report?.portMapping.tcp?.port, 40_001)
    t.not(report?.portMapping.udp?.port, 40_002)
    const others = (['tcp', 'udp'] as const).map((protocol, i) => {
      return `${protocol} ${report?.portMapping[protocol]?.port} -> 192.168.77.11:${40_001 + i}`
    })
    await t.notThrowsAsync(lab.holds([...BOTH, ...others].toSorted()))
    await first.close()
    await t.notThrowsAsync(lab.holds(others), 'only its own are deleted')
    await second.close()
    await t.notThrowsAsync(lab.holds([]))
  })
}

labTest('what a crashed agent left behind is taken over, not doubled', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const crashed = new NatHost(lab, 'a', 40_001, 40_002)
  await crashed.mapped()
  crashed.child.kill('SIGKILL')
  const again = new NatHost(lab, 'a', 40_001, 40_002)
  const { report } = await again.mapped()
  t.is(report?.portMapping.tcp?.port, 40_001)
  await t.notThrowsAsync(lab.holds(BOTH))
})

labTest('a further address on the host renews the mappings where they are', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  await lab.holds(BOTH)
  const before = BOTH
  lab.addAddress('a', '192.168.77.99/24')
  const renewed = ({ log }: Said) => log?.includes(`at=${OUTSIDE}:4000`) ?? false
  await host.until(renewed)
  await host.until(renewed)
  await t.notThrowsAsync(lab.holds(before))
})

labTest('a host that gets another address has its mappings lead there', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  lab.removeAddress('a', '192.168.77.10/24')
  lab.addAddress('a', '192.168.77.55/24')
  lab.addDefaultRoute('a')
  const there = /^tcp \d+ -> 192\.168\.77\.55:40001,udp \d+ -> 192\.168\.77\.55:40002$/
  const ofNew = (mapping: string) => mapping.includes('.55:')
  await t.notThrowsAsync(lab.until(mappings => there.test(mappings.filter(ofNew).join())))
})

labTest('a restart of the router in the second of its last start is seen, though its boot id is the same', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemonEarlyInASecond()
  const bootedAt = Math.floor(Date.now() / 1000)
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  await lab.killDaemon()
  await lab.startDaemon()
  t.log(`${Math.floor(Date.now() / 1000) - bootedAt} s between the starts`)
  await t.notThrowsAsync(lab.holds(BOTH))
})

labTest('after a restart of the router without a farewell the mappings are there again', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  await lab.killDaemon()
  t.is(lab.mappings().length, 0)
  const startedAt = performance.now()
  await lab.startDaemon()
  await t.notThrowsAsync(lab.holds(BOTH))
  const tookMs = performance.now() - startedAt
  t.log(`back after ${Math.round(tookMs)} ms`)
  t.true(tookMs < 30_000)
})

labTest('a router without a public address is named, and nothing is advertised', async t => {
  await using lab = new RouterLab({ igd: 2, outside: '100.64.3.4' })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  const { report, candidates } = await host.until(said => Boolean(said.report?.portMapping.problem))
  t.regex(report?.portMapping.problem ?? '', /no outside address|behind another NAT/)
  t.is(report?.portMapping.tcp, null)
  t.deepEqual(candidates?.map(formatCandidate), ['tcp/lan 192.168.77.10:40001'])
  await t.notThrowsAsync(lab.holds([]))
})

labTest('without a router that answers, the report says what to do', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  const { report } = await host.until(said => Boolean(said.report?.portMapping.problem))
  t.regex(report?.portMapping.problem ?? '', /turn UPnP on in the router/)
  await lab.startDaemon()
  await host.mapped()
  await t.notThrowsAsync(lab.holds(BOTH))
})
