import test from 'ava'
import { type Lab, startLab } from './lab.ts'
import type { SiteHost } from './lab-host.ts'
import { probeLine, probeNat, probePortMapper } from './probes.ts'
import { mayMakeLabs, rootTest } from './root-test.ts'

const MEBIBYTE = 1 << 20
/** A mebibyte at 10 Mbit/s is 839 ms, less the first burst of 70 kB. */
const HELD_MS = 700

let lab: Lab
let alice: SiteHost

if (mayMakeLabs) {
  test.before(async () => {
    lab = await startLab({
      sites: {
        alice: { kind: 'eim-apdf', upnp: true, delayMs: 0 },
        bob: { kind: 'eim-apdf', ipv6: 'on' },
        carol: 'firewall',
        dave: { kind: 'carrier' },
        erin: { kind: 'eim-apdf', ipv6: 'open' },
        cellular: { kind: 'carrier-edm', hosts: 0 },
      },
    })
    alice = lab.host('alice')
    await lab.relayHost.startStunResponder()
    // Sends a mebibyte to whoever connects.
    const source = `require('net').createServer(s => { s.on('error', () => s.destroy()); s.end(Buffer.alloc(${MEBIBYTE})) })
      .listen(9000, () => console.log('ready'))`
    await lab.relayHost.spawn(process.execPath, ['-e', source]).waitForOutput(/ready/)
  })
  test.after.always(async () => lab[Symbol.asyncDispose]())
}

/** Milliseconds that a mebibyte takes from the relay host to the host; null when it does not come in time. */
async function download(host: SiteHost, limitMs: number): Promise<number | null> {
  const script = `const start = performance.now(); let got = 0
    setTimeout(() => process.exit(1), ${limitMs})
    require('net').connect(9000, 'relay.test').on('data', b => { got += b.length })
      .on('end', () => { console.log(performance.now() - start); process.exit(got === ${MEBIBYTE} ? 0 : 2) })`
  const { code, stdout } = await host.exec(process.execPath, ['-e', script])
  return code === 0 ? Number(stdout) : null
}

async function answers(host: SiteHost): Promise<boolean> {
  return (await probeLine(host)).answered > 0
}

rootTest('a delay counts each way, from the next frame on', async t => {
  await lab.site('alice').setDelay(40)
  const { medianMs } = await probeLine(alice, { count: 20 })
  // Counted twice, it would be 160 ms.
  t.true(medianMs !== null && medianMs > 80 && medianMs < 150, `median round trip ${medianMs} ms`)
  await lab.site('alice').setDelay(0)
})

rootTest('a loss of 20 % each way leaves 64 % of the round trips', async t => {
  await lab.site('alice').setLoss(20)
  const { sent, answered } = await probeLine(alice, { count: 800, waitMs: 3_000 })
  await lab.site('alice').setLoss(0)
  // Standard deviation 1.7 %, so this fails by chance less than once in 10,000 runs.
  t.true(Math.abs(answered / sent - 0.64) < 0.07, `${answered} of ${sent} were answered`)
  t.is((await probeLine(alice, { count: 100, waitMs: 3_000 })).answered, 100)
})

rootTest('a plain line becomes an emulated one when it gets its first delay, IPv6 included', async t => {
  await lab.site('bob').setDelay(20)
  const { medianMs } = await probeLine(lab.host('bob'), { count: 20 })
  t.true(medianMs !== null && medianMs > 40, `median round trip ${medianMs} ms`)
  t.is((await probeNat(lab.host('bob'), { server: 'relay6.test' })).udp?.mapping, 'none')
  await lab.site('bob').setDelay(0)
})

rootTest('a cut line carries nothing until it is restored', async t => {
  await lab.site('alice').cut()
  t.false(await answers(alice))
  await lab.site('alice').restore()
  t.true(await answers(alice))
})

rootTest('blocked UDP leaves TCP alone', async t => {
  await lab.site('alice').blockUdp()
  const { udp, tcp } = await probeNat(alice)
  await lab.site('alice').unblockUdp()
  t.is(udp, null)
  t.not(tcp, null)
  t.true(await answers(alice))
})

rootTest('blocked TCP leaves UDP alone, and the ports of the web', async t => {
  await lab.site('carol').blockTcp()
  const { udp, tcp } = await probeNat(lab.host('carol'))
  await lab.site('carol').unblockTcp()
  t.is(tcp, null)
  t.not(udp, null)
  t.not((await probeNat(lab.host('carol'))).tcp, null)
})

rootTest('a line without IPv4 still carries IPv6', async t => {
  const erin = lab.host('erin')
  await lab.site('erin').loseIpv4()
  t.is((await probeNat(erin)).udp, null)
  t.not((await probeNat(erin, { server: 'relay6.test' })).udp, null)
  await lab.site('erin').regainIpv4()
  t.not((await probeNat(erin)).udp, null)
})

rootTest('a full table of flows lets no new flow through', async t => {
  await lab.site('alice').fillTable()
  t.false(await answers(alice))
  await lab.site('alice').freeTable()
  t.true(await answers(alice))
})

rootTest('a host that moved to another site is there, with that site\u2019s NAT', async t => {
  const erin = lab.host('erin')
  await lab.move('erin', 'cellular')
  const { udp } = await probeNat(erin)
  t.is(udp?.mapping, 'address-and-port-dependent')
  t.is(udp?.mapped.host, lab.site('cellular').public4 ?? '')
})

rootTest('a slow line of the relay host slows everybody', async t => {
  await lab.relayHost.setRate(10)
  const slow = await download(lab.host('carol'), 20_000)
  await lab.relayHost.setRate(null)
  const free = await download(lab.host('carol'), 20_000)
  t.true(slow !== null && slow > HELD_MS, `${slow} ms at 10 Mbit/s`)
  t.true(free !== null && free < HELD_MS, `${free} ms without a rate`)
})

rootTest('a host whose interface went down is away, and back when it is up', async t => {
  await alice.ifDown()
  t.false(
    (await alice.exec(process.execPath, ['-e', `fetch('http://relay.test:9000').catch(() => process.exit(3))`]))
      .code === 0,
  )
  await alice.ifUp()
  t.true(await answers(alice))
})

rootTest('a rebind gives the same local port another outside port, and keeps port mappings', async t => {
  await probePortMapper(alice, 5_000)
  const before = (await probeNat(alice)).udp
  t.true(before?.portPreserved)
  await lab.site('alice').rebind()
  const after = (await probeNat(alice)).udp
  t.false(after?.portPreserved)
  t.is(after?.mapping, 'endpoint-independent')
  t.true((await mappedPorts('alice')).includes('5000'))
})

rootTest('a new address is the one the internet sees from then on', async t => {
  for (const name of ['alice', 'carol', 'dave.carrier']) {
    const site = lab.site(name)
    const host = lab.host(name.replace('.carrier', ''))
    const old = site.outside4
    await site.newAddress()
    t.not(site.outside4, old)
    t.is((await probeNat(host)).udp?.mapped.host, site.outside4 ?? '', name)
    t.is(host.addresses.public4, site.outside4)
  }
  t.true((await mappedPorts('alice')).includes('5000'))
})

rootTest('forgetting empties the router\u2019s table of flows', async t => {
  await probeLine(alice)
  t.true((await lab.site('alice').conntrackCount()) > 0)
  await lab.site('alice').forget()
  t.is(await lab.site('alice').conntrackCount(), 0)
})

rootTest('a reboot loses flows and port mappings, and the router serves again', async t => {
  const { outside4 } = lab.site('alice')
  await lab.site('alice').reboot({ downMs: 100 })
  t.is(await mappedPorts('alice'), '')
  t.is(lab.site('alice').outside4, outside4)
  t.true(await answers(alice))
  t.is((await probePortMapper(alice, 5_000)).upnp?.refusal, null)
  t.true((await mappedPorts('alice')).includes('5000'))
})

rootTest('a rate holds the line to it', async t => {
  const free = await download(lab.host('carol'), 20_000)
  await lab.site('carol').setRate({ up: 100, down: 10 })
  const slow = await download(lab.host('carol'), 20_000)
  await lab.site('carol').setRate(null)
  t.true(slow !== null && slow > HELD_MS, `${slow} ms at 10 Mbit/s`)
  t.true(free !== null && free < HELD_MS, `${free} ms without a rate`)
})

rootTest('a smaller MTU is learnt by the ends, unless it is a black hole', async t => {
  const dave = lab.host('dave')
  await lab.site('dave').setMtu(1_280)
  t.not(await download(dave, 20_000), null)
  await lab.site('dave').setMtu(1_000, { blackHole: true })
  t.is(await download(dave, 1_500), null)
  await lab.site('dave').setMtu(1_500)
  t.not(await download(dave, 20_000), null)
})

rootTest('the whole relay host can be cut off', async t => {
  await lab.relayHost.cut()
  t.false(await answers(lab.host('carol')))
  await lab.relayHost.restore()
  t.true(await answers(lab.host('carol')))
})

rootTest('a capture holds every byte that crosses the relay host, and nothing it did not see', async t => {
  const send = (text: string) =>
    alice.exec(process.execPath, [
      '-e',
      `require('net').connect(9000, 'relay.test', function () { this.write('${text}', () => this.resume()) }).on('close', () => process.exit(0))`,
    ])
  await send('before the capture')
  const capture = await lab.capture()
  await send('marker of this test')
  const { bytes, packets, dropped } = await capture.stop()
  await send('after the capture')
  t.is(dropped, 0)
  t.true(packets > 10 && bytes.length > MEBIBYTE)
  t.true(bytes.includes('marker of this test'))
  t.false(bytes.includes('before the capture') || bytes.includes('after the capture'))
})

async function mappedPorts(site: string): Promise<string> {
  const { stdout } = await lab.site(site).router.exec('nft', ['list', 'chain', 'inet', 'lab', 'prerouting_miniupnpd'])
  return stdout
    .split('\n')
    .filter(line => line.includes('dnat'))
    .join('\n')
}
