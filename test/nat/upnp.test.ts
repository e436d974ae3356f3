import test from 'ava'
import { formatCandidate } from '../../common/wire/candidate.ts'
import { NatHost, type Said } from './nat-host.ts'
import { labMissing, RouterLab } from './router-lab.ts'

const missing = labMissing()
const labTest = missing ? test.serial.skip : test.serial
const OUTSIDE = '44.128.0.10'

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
    t.deepEqual(lab.mappings(), ['tcp 40001 -> 192.168.77.10:40001', 'udp 40002 -> 192.168.77.10:40002'])
    await host.close()
    t.deepEqual(lab.mappings(), [])
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
    const table = lab.mappings()
    t.is(table.length, 4)
    t.true(table.includes('tcp 40001 -> 192.168.77.10:40001'))
    t.true(table.includes(`tcp ${report?.portMapping.tcp?.port} -> 192.168.77.11:40001`))
    await first.close()
    t.is(lab.mappings().length, 2, 'only its own are deleted')
    await second.close()
    t.deepEqual(lab.mappings(), [])
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
  t.is(lab.mappings().length, 2)
})

labTest('a further address on the host renews the mappings where they are', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  const before = lab.mappings()
  lab.addAddress('a', '192.168.77.99/24')
  const renewed = ({ log }: Said) => log?.includes(`at=${OUTSIDE}:4000`) ?? false
  await host.until(renewed)
  await host.until(renewed)
  t.deepEqual(lab.mappings(), before)
})

labTest('a host that gets another address has its mappings lead there', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  lab.removeAddress('a', '192.168.77.10/24')
  lab.addAddress('a', '192.168.77.55/24')
  lab.addDefaultRoute('a')
  const leadsThere = () => lab.mappings().filter(mapping => mapping.includes('192.168.77.55')).length
  while (leadsThere() < 2) await host.until(({ log }) => log?.includes('opened a port') ?? false)
  t.is(leadsThere(), 2)
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
  while (lab.mappings().length < 2) await host.until(({ log }) => log?.includes('opened a port') ?? false)
  t.is(lab.mappings().length, 2)
})

labTest('after a restart of the router without a farewell the mappings are there again', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  await lab.killDaemon()
  t.deepEqual(lab.mappings(), [])
  const startedAt = performance.now()
  await lab.startDaemon()
  while (lab.mappings().length < 2) await host.until(({ log }) => log?.includes('opened a port') ?? false)
  t.deepEqual(lab.mappings(), ['tcp 40001 -> 192.168.77.10:40001', 'udp 40002 -> 192.168.77.10:40002'])
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
  t.deepEqual(lab.mappings(), [])
})

labTest('without a router that answers, the report says what to do', async t => {
  await using lab = new RouterLab({ igd: 2, outside: OUTSIDE })
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  const { report } = await host.until(said => Boolean(said.report?.portMapping.problem))
  t.regex(report?.portMapping.problem ?? '', /turn UPnP on in the router/)
  await lab.startDaemon()
  await host.mapped()
  t.is(lab.mappings().length, 2)
})
