import test from 'ava'
import { isOnLink } from '../../../../../agent/nat/home-links.ts'
import { readIgdDescription } from '../../../../../agent/nat/upnp/igd-description.ts'
import { parseSoapAnswer, soapRequest } from '../../../../../agent/nat/upnp/soap.ts'
import { ownLocation, parseSsdp, ssdpSearch } from '../../../../../agent/nat/upnp/ssdp.ts'
import { childText, readXml } from '../../../../../agent/nat/upnp/xml.ts'

const LOCATION = new URL('http://192.168.1.1:5000/rootDesc.xml')
const service = (type: string, control: string) =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${control}</controlURL></service>`
const description = (...services: readonly string[]) =>
  `<?xml version="1.0"?><root xmlns="urn:x"><device><deviceList><device><serviceList>${services.join('')}` +
  '</serviceList></device></deviceList></device></root>'

test('XML: names without prefix, text, CDATA, comments and the five entities', t => {
  const root = readXml(
    `<?xml version='1.0'?><!-- <x> --><s:a b="<'>" c='>'> t &lt;&amp;lt; <![CDATA[<&>]]><d/><e>1</e></s:a>`,
  )
  t.is(root?.name, undefined, 'a raw < in an attribute is not XML')
  const good = readXml(
    `<?xml version='1.0'?><!-- <x> --><s:a b="'>" c='>'> t &lt;&amp;lt;<![CDATA[<&>]]><d/><e>1</e></s:a>`,
  )
  t.like(good, { name: 'a', text: 't <&lt;<&>' })
  t.deepEqual(
    good?.children.map(({ name }) => name),
    ['d', 'e'],
  )
  t.is(good && childText(good, 'e'), '1')
})

test('XML: entities of its own, wrong nesting, and excess are refused in little time', t => {
  const bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
  const refused: readonly string[] = [
    '',
    'text',
    bomb,
    '<a>',
    '</a>',
    '<a></b>',
    '<a/><b/>',
    '<a',
    '<!--',
    '<a><![CDATA[</a>',
    '<a>'.repeat(40) + '</a>'.repeat(40),
    `<a>${'<b/>'.repeat(5000)}</a>`,
    `<a>${'x'.repeat(200_000)}</a>`,
    `<a ${'"'.repeat(100_000)}`,
    `<a ${'b='.repeat(60_000)}`,
    '<'.repeat(100_000),
  ]
  const before = process.cpuUsage()
  for (const xml of refused) t.is(readXml(xml), undefined, xml.slice(0, 40))
  t.is(readXml('<a>&c;&#65;</a>')?.text, '&c;&#65;', 'others stay as they are')
  // Of computing, not of waiting for other processes; what looks at anything twice takes many times as long.
  const { user, system } = process.cpuUsage(before)
  t.true(user + system < 2_000_000, `${user + system} µs`)
})

test('a description gives its connection services, the newest first and IP before PPP', t => {
  const xml = description(
    service('WANPPPConnection:1', '/ppp'),
    service('WANIPConnection:1', '/ip1'),
    service('WANCommonInterfaceConfig:1', '/common'),
    service('WANIPConnection:2', 'ip2'),
  )
  t.deepEqual(
    readIgdDescription(xml, LOCATION).map(({ controlUrl }) => controlUrl.href),
    ['http://192.168.1.1:5000/ip2', 'http://192.168.1.1:5000/ip1', 'http://192.168.1.1:5000/ppp'],
  )
})

test('a control address on another host, another protocol or with a password is left out', t => {
  const bad = [
    'http://10.0.0.1/x',
    'http://example.org/x',
    'https://192.168.1.1/x',
    'http://a:b@192.168.1.1/x',
    'file:///etc/passwd',
    '//127.0.0.1/x',
    'http://[::1]/x',
  ]
  t.deepEqual(readIgdDescription(description(...bad.map(url => service('WANIPConnection:1', url))), LOCATION), [])
})

test('URLBase counts only when it is the same device', t => {
  const xml = (base: string) => `<root><URLBase>${base}</URLBase>${service('WANIPConnection:1', '/c')}</root>`
  const href = (base: string) => readIgdDescription(xml(base), LOCATION)[0]?.controlUrl.href
  t.is(href('http://192.168.1.1:80/'), 'http://192.168.1.1/c')
  t.is(href('http://10.0.0.1:80/'), 'http://192.168.1.1:5000/c')
})

test('SSDP: an answer, an announcement and a farewell are read; everything else is nothing', t => {
  const IGD = 'urn:schemas-upnp-org:device:InternetGatewayDevice:2'
  const lines = (...text: readonly string[]) => Buffer.from(`${text.join('\r\n')}\r\n\r\n`)
  t.deepEqual(
    parseSsdp(lines('HTTP/1.1 200 OK', `ST: ${IGD}`, 'LOCATION: http://192.168.1.1/d', 'BOOTID.UPNP.ORG: 17')),
    { kind: 'answer', target: IGD, location: 'http://192.168.1.1/d', bootId: 17 },
  )
  const notify = (nts: string, nt: string) => parseSsdp(lines('NOTIFY * HTTP/1.1', `NT: ${nt}`, `NTS: ${nts}`))?.kind
  t.is(notify('ssdp:alive', IGD), 'alive')
  t.is(notify('ssdp:byebye', IGD), 'byebye')
  t.is(notify('ssdp:update', IGD), undefined)
  t.is(notify('ssdp:alive', 'urn:schemas-upnp-org:device:MediaServer:1'), undefined)
  t.is(parseSsdp(ssdpSearch(IGD, 1)), undefined)
  t.is(parseSsdp(Buffer.alloc(0)), undefined)
  t.is(parseSsdp(lines('HTTP/1.1 200 OK', `ST: ${IGD}`, `X: ${'x'.repeat(3000)}`)), undefined)
})

test('a description is fetched only from the device that answered', t => {
  t.is(ownLocation('http://192.168.1.1:5000/d', '192.168.1.1')?.port, '5000')
  const bad = ['http://192.168.1.2/d', 'http://router/d', 'https://192.168.1.1/d', 'ftp://192.168.1.1/', 'nonsense', '']
  for (const location of bad) t.is(ownLocation(location, '192.168.1.1'), undefined, location)
})

test('only addresses on the same link count as neighbours', t => {
  const own = { interfaceName: 'eth0', address: '192.168.1.5', family: 4, prefixLength: 24, loopback: false } as const
  t.true(isOnLink('192.168.1.1', own))
  t.false(isOnLink('192.168.2.1', own))
  t.false(isOnLink('8.8.8.8', own))
})

test('SOAP: arguments are escaped and keep their order', t => {
  const { body, headers } = soapRequest('urn:x:1', 'Do', [
    ['B', '<&">'],
    ['A', 5],
  ])
  t.true(body.includes('<u:Do xmlns:u="urn:x:1"><B>&lt;&amp;&quot;&gt;</B><A>5</A></u:Do>'))
  t.is(headers.SOAPAction, '"urn:x:1#Do"')
})

test('SOAP: values, faults and nonsense are told apart', t => {
  const envelope = (body: string) => `<s:Envelope xmlns:s="e"><s:Body>${body}</s:Body></s:Envelope>`
  const values = parseSoapAnswer(envelope('<u:DoResponse><NewA>1</NewA><__proto__>2</__proto__></u:DoResponse>'), 'Do')
  t.is(values?.kind === 'values' ? values.values.get('NewA') : '', '1')
  const fault = (code: string) =>
    parseSoapAnswer(
      envelope(`<s:Fault><detail><UPnPError><errorCode>${code}</errorCode></UPnPError></detail></s:Fault>`),
      'Do',
    )
  t.deepEqual(fault('718'), { kind: 'fault', code: 718 })
  for (const code of ['', '-1', '1e9', 'x']) t.is(fault(code), undefined)
  t.is(parseSoapAnswer(envelope('<u:OtherResponse/>'), 'Do'), undefined)
  t.is(parseSoapAnswer('<html>', 'Do'), undefined)
})

test('100,000 mutations of descriptions, answers and announcements never throw', t => {
  const seeds = [
    description(service('WANIPConnection:2', '/ip2'), service('WANPPPConnection:1', 'http://192.168.1.1/p')),
    '<s:Envelope><s:Body><u:DoResponse><NewA>1</NewA></u:DoResponse></s:Body></s:Envelope>',
    'NOTIFY * HTTP/1.1\r\nNT: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nNTS: ssdp:alive\r\n' +
      'LOCATION: http://192.168.1.1:5000/d\r\nBOOTID.UPNP.ORG: 5\r\n\r\n',
  ].map(text => Buffer.from(text))
  let state = 12345
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let i = 0; i < 100_000; i++) {
    const bytes = Buffer.from(seeds[i % 3] ?? '')
    for (let flips = next(5); flips >= 0; flips--) bytes[next(bytes.length)] = next(256)
    const text = bytes.toString('latin1')
    if (i % 3 === 0) readIgdDescription(text, LOCATION)
    else if (i % 3 === 1) parseSoapAnswer(text, 'Do')
    else ownLocation(parseSsdp(bytes)?.location, '192.168.1.1')
  }
  t.pass()
})
