import test from 'ava'
import { type Lab, startLab } from './lab.ts'
import type { SiteOptions } from './lab-options.ts'
import type { NatReport } from './nat-probe.ts'
import type { PortMapperReport } from './port-mapper-probe.ts'
import { probeNat, probePortMapper } from './probes.ts'
import { mayMakeLabs, rootTest } from './root-test.ts'

const EI = 'endpoint-independent'
const AD = 'address-dependent'
const APD = 'address-and-port-dependent'

/** What a probe on each site must find: [UDP mapping, UDP filtering, TCP mapping, port preserved], null for blocked. */
const EXPECTED: Readonly<Record<string, { site: SiteOptions; found: readonly unknown[] }>> = {
  public: { site: { kind: 'none' }, found: ['none', EI, 'none', true] },
  firewall: { site: { kind: 'firewall' }, found: ['none', APD, 'none', true] },
  'eim-eif': { site: { kind: 'eim-eif' }, found: [EI, EI, EI, true] },
  'eim-adf': { site: { kind: 'eim-adf' }, found: [EI, AD, EI, true] },
  'eim-apdf': { site: { kind: 'eim-apdf' }, found: [EI, APD, EI, true] },
  edm: { site: { kind: 'edm' }, found: [APD, APD, APD, false] },
  'edm-sequential': { site: { kind: 'edm-sequential' }, found: [APD, APD, APD, false] },
  'edm-block': { site: { kind: 'edm-block' }, found: [APD, APD, APD, false] },
  carrier: { site: { kind: 'carrier' }, found: [EI, APD, EI, true] },
  'carrier-edm': { site: { kind: 'carrier-edm' }, found: [APD, APD, APD, false] },
  'udp-blocked': { site: { kind: 'udp-blocked' }, found: [null, null, EI, null] },
  'https-only': { site: { kind: 'https-only' }, found: [null, null, null, null] },
  'other-ports': {
    site: { kind: 'eim-apdf', preservePorts: false, unsolicitedTcp: 'reset' },
    found: [EI, APD, EI, false],
  },
  hairpin: { site: { kind: 'eim-apdf', hairpin: true }, found: [EI, APD, EI, true] },
}

/** Sites with mapping protocols, and what a client on their LAN must find. */
const MAPPERS: Readonly<Record<string, { site: SiteOptions; found: (address: string) => PortMapperReport }>> = {
  'upnp-1': {
    site: { kind: 'edm', upnp: true, igdVersion: 1 },
    found: address => ({ upnp: { igdVersion: 1, externalAddress: address, refusal: null }, natPmp: null, pcp: null }),
  },
  'upnp-2': {
    site: { kind: 'eim-apdf', upnp: true },
    found: address => ({ upnp: { igdVersion: 2, externalAddress: address, refusal: null }, natPmp: null, pcp: null }),
  },
  'nat-pmp': { site: { kind: 'eim-apdf', natPmp: true }, found: () => ({ upnp: null, natPmp: 0, pcp: null }) },
  pcp: { site: { kind: 'eim-apdf', pcp: true }, found: () => ({ upnp: null, natPmp: null, pcp: 0 }) },
  // Behind a carrier miniupnpd sees that its outside address is private, and refuses.
  refuses: {
    site: { kind: 'eim-apdf', upnp: true, via: 'isp' },
    found: () => ({ upnp: { igdVersion: 2, externalAddress: null, refusal: 501 }, natPmp: null, pcp: null }),
  },
  lies: {
    site: { kind: 'eim-apdf', upnp: '44.128.9.9', via: 'isp' },
    found: () => ({ upnp: { igdVersion: 2, externalAddress: '44.128.9.9', refusal: null }, natPmp: null, pcp: null }),
  },
}

const MAPPED_PORT = 5_000

let lab: Lab
let startMs = 0
const reports = new Map<string, NatReport>()
const mapperReports = new Map<string, PortMapperReport>()

if (mayMakeLabs) {
  test.before('all kinds stand in one lab, and are probed at once', async () => {
    const all = { ...EXPECTED, ...MAPPERS }
    const sites = Object.fromEntries(Object.entries(all).map(([name, { site }]) => [name, site]))
    const start = performance.now()
    lab = await startLab({
      sites: { ...sites, six: { kind: 'eim-apdf', ipv6: 'only' } },
      carriers: { isp: 'eim-apdf' },
    })
    startMs = performance.now() - start
    await Promise.all([lab.relayHost.startStunResponder(), lab.relayHost.startStunResponder([443, 80])])
    await Promise.all(Object.keys(EXPECTED).map(async name => reports.set(name, await probeNat(lab.host(name)))))
    const probeMapper = async (name: string) =>
      mapperReports.set(name, await probePortMapper(lab.host(name), MAPPED_PORT))
    await Promise.all(Object.keys(MAPPERS).map(probeMapper))
  })
  test.after.always(async () => lab[Symbol.asyncDispose]())
}

for (const [name, { found }] of Object.entries(EXPECTED)) {
  rootTest(`${name} maps and filters as its kind says`, t => {
    const { udp, tcp } = reports.get(name) ?? {}
    const preserved = udp ? udp.portPreserved : null
    t.deepEqual([udp?.mapping ?? null, udp?.filtering ?? null, tcp?.mapping ?? null, preserved], [...found])
  })
}

rootTest('a site is seen under its own outside address, or under its carrier\u2019s', t => {
  for (const name of ['edm', 'carrier', 'carrier-edm', 'public']) {
    t.is(reports.get(name)?.udp?.mapped.host, lab.host(name).addresses.public4 ?? '')
  }
  t.regex(lab.host('carrier').addresses.outside4 ?? '', /^100\.64\./)
})

rootTest('only the site with hairpin reaches itself from outside', t => {
  t.true(reports.get('hairpin')?.udp?.hairpin)
  t.false(reports.get('eim-apdf')?.udp?.hairpin)
})

rootTest('a sequential NAT gives neighbouring ports to flows that follow each other', async t => {
  const { udp, tcp } = await probeNat(lab.host('edm-sequential'))
  const gap = (tcp?.mapped.port ?? 0) - (udp?.mapped.port ?? 0)
  t.true(Math.abs(gap) <= 8, `UDP and TCP got ports ${gap} apart`)
})

rootTest('a NAT with a block of ports gives its thousand to flows at random', async t => {
  const ports = new Set<number>()
  for (let tries = 0; tries < 4; tries++) {
    const { udp, tcp } = await probeNat(lab.host('edm-block'))
    for (const found of [udp, tcp]) ports.add(found?.mapped.port ?? 0)
  }
  t.true(ports.size >= 6, `${ports.size} ports for eight flows`)
  t.true(Math.min(...ports) >= 20_000 && Math.max(...ports) < 21_000, [...ports].join())
  t.true(Math.max(...ports) - Math.min(...ports) > 100, [...ports].join())
})

rootTest('the site with https only gets out by TCP to 443 and 80', async t => {
  const { udp, tcp } = await probeNat(lab.host('https-only'), { ports: [443, 80] })
  t.is(udp, null)
  t.is(tcp?.mapping, EI)
})

rootTest('a NAT that does not preserve ports changes each of them, be it from its own range or not', async t => {
  for (const [port, range] of [
    [4_000, [20_000, 24_095]],
    [21_000, [24_096, 28_191]],
    [25_000, [20_000, 24_095]],
  ] as const) {
    const { udp, tcp } = await probeNat(lab.host('other-ports'), { localPort: port })
    for (const found of [udp, tcp]) {
      t.is(found?.local.port, port)
      const mapped = found?.mapped.port ?? 0
      t.true(mapped >= range[0] && mapped <= range[1], `${port} became ${mapped}`)
      t.is(found?.mapping, EI)
    }
  }
})

rootTest('a router stays silent to strangers, or refuses them, as it was told', async t => {
  const knock = async (site: string, waitMs: number) => {
    const script = `setTimeout(() => { console.log('silence'); process.exit() }, ${waitMs})
      require('net').connect(9, '${lab.site(site).outside4}').on('error', e => { console.log(e.code); process.exit() })`
    return (await lab.host('public').exec(process.execPath, ['-e', script])).stdout.trim()
  }
  t.is(await knock('eim-apdf', 300), 'silence')
  t.is(await knock('other-ports', 20_000), 'ECONNREFUSED')
})

rootTest('a site without IPv4 reaches the relay by its names, and is not filtered into silence', async t => {
  const { udp } = await probeNat(lab.host('six'))
  t.is(lab.host('six').addresses.v4, null)
  t.is(udp?.mapped.host, lab.host('six').addresses.v6 ?? '')
  t.deepEqual([udp?.mapping, udp?.filtering], ['none', APD])
})

for (const [name, { found }] of Object.entries(MAPPERS)) {
  rootTest(`the router of ${name} speaks its mapping protocol and no other`, t => {
    t.deepEqual(mapperReports.get(name), found(lab.host(name).addresses.outside4 ?? ''))
  })
}

rootTest('a mapped port brings a stranger\u2019s datagram through an EDM NAT', async t => {
  const inside = lab.host('upnp-1')
  const listen = `require('dgram').createSocket('udp4').bind(${MAPPED_PORT}).on('listening', () => console.log('ready'))
    .on('message', text => console.log('got ' + text))`
  await using listener = inside.spawn(process.execPath, ['-e', listen])
  await listener.waitForOutput(/ready/)
  const send = `const s = require('dgram').createSocket('udp4')
    s.send('hello', ${MAPPED_PORT}, '${inside.addresses.outside4}', () => s.close())`
  await lab.host('public').exec(process.execPath, ['-e', send])
  t.truthy(await listener.waitForOutput(/got hello/))
})

rootTest('more than twenty sites stand in one lab', t => {
  t.log(`${lab.sites.length} sites and carriers in ${Math.round(startMs)} ms`)
  t.true(lab.sites.length > 20)
})
