import test from 'ava'
import { whyNotOurs } from '../../../relay/own-names.ts'

const plain = { url: undefined, certificate: undefined, addresses: [] }
const local = { address: '198.51.100.7', port: 8080 }
const local6 = { address: '2001:db8::7', port: 443 }
const loopback = { address: '127.0.0.1', port: 8080 }
const withUrl = { ...plain, url: 'relay.example.org:443' }
const cloud = { ...plain, addresses: ['203.0.113.5', '2001:DB8:0::9'] }
/** Stands for a certificate of relay.example.org and 192.0.2.9. */
const certificate = {
  checkHost: (name: string) => (name === 'relay.example.org' ? name : undefined),
  checkIP: (ip: string) => (ip === '192.0.2.9' ? ip : undefined),
}
const tls = { ...plain, certificate }

const ours = [
  ['the address that the connection arrived at', '198.51.100.7:8080', plain, local],
  ['the same over IPv6', '[2001:db8::7]:443', plain, local6],
  ['localhost, over loopback', 'localhost:8080', plain, loopback],
  ['a public address from stun.addresses', '203.0.113.5:8080', cloud, local],
  ['the same over IPv6, written otherwise', '[2001:db8::9]:443', cloud, local6],
  ['the url of the config', 'relay.example.org:443', withUrl, local],
  ['a name on the certificate, at any port', 'relay.example.org:8443', tls, local],
  ['an address on the certificate', '192.0.2.9:443', tls, local],
  ['our own address, with a certificate for another name', '198.51.100.7:8080', tls, local],
  ['a DNS name without url and TLS, which proves nothing anyway', 'relay.example.org:443', plain, local],
  ['a public address, behind a one-to-one NAT', '203.0.113.5:8080', plain, { address: '172.31.0.7', port: 8080 }],
] as const

for (const [what, name, names, arrived] of ours) {
  test(`ours: ${what}`, t => t.is(whyNotOurs(name, names, arrived), undefined))
}

const others = [
  ['an address that is not ours', '203.0.113.5:8080', plain, local, /set "url" .* or "stun.addresses" to its public/],
  [
    'another port of our address',
    '198.51.100.7:8081',
    plain,
    local,
    /does not know .* set "url" in the relay's config/,
  ],
  ['a private address that is not ours', '10.0.0.1:8080', plain, { address: '172.31.0.7', port: 8080 }, /set "url"/],
  ['a name that is not on the certificate', 'evil.example:443', tls, local, /set "url"/],
  ['an address that is not on the certificate', '192.0.2.8:443', tls, local, /set "url"/],
  [
    'a name on the certificate that is not the url',
    'www.example.org:443',
    { ...tls, ...withUrl },
    local,
    /relay is rel/,
  ],
  ['our address, when there is a url', '198.51.100.7:8080', withUrl, local, /correct the url of this relay/],
] as const

for (const [what, name, names, arrived, reason] of others) {
  test(`not ours: ${what}`, t => t.regex(whyNotOurs(name, names, arrived) ?? '', reason))
}

test('a name of any form is refused, and what is said of it fits into a refusal', t => {
  for (const name of ['', ':', 'x', '[::1:80', '[]:80', '1.2.3.4', '198.51.100.7:8080 ', `${'x'.repeat(290)}:80`]) {
    const why = whyNotOurs(name, tls, local)
    t.true(why !== undefined && why.length < 280 && why.includes('set "url"'), name)
  }
})
