import test from 'ava'
import { formatCandidate } from '../../common/wire/candidate.ts'
import { SLACK } from '../slack.ts'
import { NatHost, type Said } from './nat-host.ts'
import { labMissing, RouterLab, type RouterOptions } from './router-lab.ts'

const labTest = labMissing() ? test.serial.skip : test.serial
const OUTSIDE = '44.128.0.10'
const BOTH = ['tcp 40001 -> 192.168.77.10:40001', 'udp 40002 -> 192.168.77.10:40002']

const PROTOCOLS = {
  'nat-pmp': { natPmp: true, outside: OUTSIDE },
  pcp: { pcp: true, outside: OUTSIDE },
} as const satisfies Record<string, RouterOptions>

for (const [protocol, router] of Object.entries(PROTOCOLS)) {
  labTest(`${protocol}: both ports are mapped, told as candidates, and deleted at the end`, async t => {
    await using lab = new RouterLab(router)
    await lab.startDaemon()
    const startedAt = performance.now()
    const host = new NatHost(lab, 'a', 40_001, 40_002)
    const { report, candidates } = await host.mapped()
    t.log(`${Math.round(performance.now() - startedAt)} ms from the start of the program to both mappings`)
    t.like(report?.portMapping, {
      protocol,
      tcp: { address: OUTSIDE, port: 40_001 },
      udp: { address: OUTSIDE, port: 40_002 },
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

  labTest(`${protocol}: two hosts that want the same ports both get some, and neither loses any`, async t => {
    await using lab = new RouterLab(router)
    await lab.startDaemon()
    const first = new NatHost(lab, 'a', 40_001, 40_002)
    await first.mapped()
    const second = new NatHost(lab, 'b', 40_001, 40_002)
    const { report } = await second.mapped()
    t.not(report?.portMapping.tcp?.port, 40_001)
    const others = (['tcp', 'udp'] as const).map((protocol, i) => {
      return `${protocol} ${report?.portMapping[protocol]?.port} -> 192.168.77.11:${40_001 + i}`
    })
    await t.notThrowsAsync(lab.holds([...BOTH, ...others].toSorted()))
    await second.close()
    await t.notThrowsAsync(lab.holds(BOTH), 'only its own are deleted')
    await first.close()
    await t.notThrowsAsync(lab.holds([]))
  })

  labTest(`${protocol}: what a crashed agent left behind is taken over, not doubled`, async t => {
    await using lab = new RouterLab(router)
    await lab.startDaemon()
    const crashed = new NatHost(lab, 'a', 40_001, 40_002)
    await crashed.mapped()
    crashed.child.kill('SIGKILL')
    const again = new NatHost(lab, 'a', 40_001, 40_002)
    const { report } = await again.mapped()
    t.is(report?.portMapping.tcp?.port, 40_001)
    await t.notThrowsAsync(lab.holds(BOTH))
    await again.close()
    await t.notThrowsAsync(lab.holds([]))
  })

  labTest(`${protocol}: a router that starts again and says so has the mappings back at once`, async t => {
    await using lab = new RouterLab(router)
    await lab.startDaemon()
    const host = new NatHost(lab, 'a', 40_001, 40_002)
    await host.mapped()
    // Announcements right after the router was found are not believed: they may be about the start that found it.
    await new Promise(resolve => setTimeout(resolve, 10_000))
    await lab.killDaemon()
    t.is(lab.mappings().length, 0)
    const startedAt = performance.now()
    await lab.startDaemon()
    while (lab.mappings().length < 2) await new Promise(resolve => setTimeout(resolve, 50))
    await t.notThrowsAsync(lab.holds(BOTH))
    const tookMs = performance.now() - startedAt
    t.log(`back after ${Math.round(tookMs)} ms`)
    t.true(tookMs < 5_000 * SLACK)
    await host.close()
  })

  labTest(`${protocol}: a router without a public address is named, and nothing is advertised`, async t => {
    await using lab = new RouterLab({ ...router, outside: '100.64.3.4' })
    await lab.startDaemon()
    const host = new NatHost(lab, 'a', 40_001, 40_002)
    const { report, candidates } = await host.until(said => Boolean(said.report?.portMapping.problem))
    t.regex(report?.portMapping.problem ?? '', /no address outside|no outside port/)
    t.is(report?.portMapping.tcp, null)
    t.deepEqual(candidates?.map(formatCandidate), ['tcp/lan 192.168.77.10:40001'])
    await host.close()
    await t.notThrowsAsync(lab.holds([]))
  })
}

labTest('a router that speaks everything is asked by PCP alone', async t => {
  await using lab = new RouterLab({ igd: 2, natPmp: true, pcp: true, outside: OUTSIDE })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  const { report } = await host.mapped()
  t.is(report?.portMapping.protocol, 'pcp')
  await t.notThrowsAsync(lab.holds(BOTH))
  await host.close()
  await t.notThrowsAsync(lab.holds([]))
})

labTest('a router that grants less than it is asked for is asked again at half of it', async t => {
  await using lab = new RouterLab({ ...PROTOCOLS.pcp, maxLeaseS: 12 })
  await lab.startDaemon()
  const host = new NatHost(lab, 'a', 40_001, 40_002)
  await host.mapped()
  const renewed = ({ log }: Said) => log?.includes(`at=${OUTSIDE}:4000`) ?? false
  for (let renewals = 0; renewals < 2; renewals++) {
    // Both are due at the same time, and miniupnpd takes each rule out before it puts the new one in.
    await host.until(renewed)
    await host.until(renewed)
    await t.notThrowsAsync(lab.holds(BOTH))
  }
  await host.close()
})
