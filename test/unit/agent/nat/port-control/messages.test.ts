import test from 'ava'
import {
  natPmpAddressRequest,
  natPmpMappingRequest,
  readNatPmpAnswer,
} from '../../../../../agent/nat/port-control/nat-pmp-message.ts'
import { pcpAnnounceRequest, pcpMapRequest, readPcpAnswer } from '../../../../../agent/nat/port-control/pcp-message.ts'
import { addressScope } from '../../../../../common/wire/endpoint.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const asHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const NONCE = Uint8Array.from({ length: 12 }, (_, i) => i + 1)

/** As RFC 6886 §3.2 and §3.3 draw them. */
const NAT_PMP_ADDRESS = hex('00 80 0000 00000e10 cb007109')
const NAT_PMP_MAPPED = hex('00 82 0000 00000e10 9c41 9c42 00000e10')
const NAT_PMP_REFUSED = hex('00 81 0002 00000e10 9c41 0000 00000000')
const OTHER_VERSION = hex('00 80 0001 00000e10')

/** As RFC 6887 §7.2 and §11.1 draw them. */
const PCP_ANNOUNCE = hex('02 80 00 00 00000000 0000036f 000000000000000000000000')
const PCP_MAPPED = hex(`02 81 00 00 00000258 0000036e 000000000000000000000000
  0102030405060708090a0b0c 06 000000 9c41 9c42 00000000000000000000ffffcb007109`)
const PCP_PINHOLE = hex(`02 81 00 00 00000258 0000036e 000000000000000000000000
  0102030405060708090a0b0c 11 000000 9c41 9c41 20010db800010001000000000000000a`)
const PCP_REFUSED = hex(`02 81 00 02 0000001e 0000036e 000000000000000000000000
  0102030405060708090a0b0c 06 000000 9c41 9c41 00000000000000000000ffff00000000`)

test('NAT-PMP: requests are those of RFC 6886', t => {
  t.is(asHex(natPmpAddressRequest()), '0000')
  t.is(asHex(natPmpMappingRequest('udp', 40_001, 40_002, 3600)), '000100009c419c4200000e10')
  t.is(asHex(natPmpMappingRequest('tcp', 40_001, 0, 0)), '000200009c41000000000000')
})

test('NAT-PMP: answers are read', t => {
  t.deepEqual(readNatPmpAnswer(NAT_PMP_ADDRESS), { kind: 'address', epochS: 3600, address: '203.0.113.9' })
  t.deepEqual(readNatPmpAnswer(NAT_PMP_MAPPED), {
    kind: 'mapping',
    epochS: 3600,
    protocol: 'tcp',
    internalPort: 40_001,
    externalPort: 40_002,
    lifetimeS: 3600,
  })
  t.deepEqual(readNatPmpAnswer(NAT_PMP_REFUSED), { kind: 'refused', opcode: 1, result: 2, epochS: 3600 })
  t.like(readNatPmpAnswer(OTHER_VERSION), { kind: 'refused', result: 1 })
})

test('PCP: requests are those of RFC 6887, for IPv4 and for IPv6', t => {
  t.is(asHex(pcpAnnounceRequest('192.168.77.10')), '020000000000000000000000000000000000ffffc0a84d0a')
  t.is(
    asHex(
      pcpMapRequest('192.168.77.10', {
        nonce: NONCE,
        protocol: 'tcp',
        internalPort: 40_001,
        externalPort: 40_002,
        lifetimeS: 600,
      }),
    ),
    `020100000000025800000000000000000000ffffc0a84d0a
     0102030405060708090a0b0c060000009c419c4200000000000000000000ffff00000000`.replaceAll(/\s/g, ''),
  )
  t.is(
    asHex(
      pcpMapRequest('2001:db8:1:1::a', {
        nonce: NONCE,
        protocol: 'udp',
        internalPort: 40_001,
        externalPort: 0,
        lifetimeS: 0,
      }),
    ),
    `020100000000000020010db800010001000000000000000a
     0102030405060708090a0b0c110000009c41000000000000000000000000000000000000`.replaceAll(/\s/g, ''),
  )
})

test('PCP: answers are read', t => {
  t.deepEqual(readPcpAnswer(PCP_ANNOUNCE), { kind: 'announce', epochS: 879 })
  const mapped = { kind: 'map', epochS: 878, nonce: NONCE, internalPort: 40_001, lifetimeS: 600 } as const
  t.deepEqual(readPcpAnswer(PCP_MAPPED), {
    ...mapped,
    protocol: 'tcp',
    externalPort: 40_002,
    externalAddress: '203.0.113.9',
  })
  t.deepEqual(readPcpAnswer(PCP_PINHOLE), {
    ...mapped,
    protocol: 'udp',
    externalPort: 40_001,
    externalAddress: '2001:db8:1:1::a',
  })
  t.deepEqual(readPcpAnswer(PCP_REFUSED), {
    kind: 'refused',
    opcode: 1,
    result: 2,
    lifetimeS: 30,
    epochS: 878,
    nonce: NONCE,
  })
})

test('requests, other versions and what is too short are no answers', t => {
  for (const bytes of [
    NAT_PMP_ADDRESS,
    NAT_PMP_MAPPED,
    hex(''),
    hex('00'),
    hex('020000'),
    PCP_MAPPED.subarray(0, 56),
  ]) {
    t.is(readPcpAnswer(bytes), undefined)
  }
  for (const bytes of [PCP_ANNOUNCE, PCP_MAPPED, hex(''), hex('0082'), NAT_PMP_MAPPED.subarray(0, 12)]) {
    t.is(readNatPmpAnswer(bytes), undefined)
  }
})

test('20,000 mutations of answers are read or not, and throw nothing', t => {
  const originals = [
    NAT_PMP_ADDRESS,
    NAT_PMP_MAPPED,
    NAT_PMP_REFUSED,
    PCP_ANNOUNCE,
    PCP_MAPPED,
    PCP_PINHOLE,
    PCP_REFUSED,
  ]
  let read = 0
  for (let seed = 0; seed < 20_000; seed++) {
    const draw = seededDraw(seed)
    const mutant = mutateBytes(originals[draw(originals.length)] ?? Buffer.alloc(0), draw)
    const [natPmp, pcp] = [readNatPmpAnswer(mutant), readPcpAnswer(mutant)]
    if (pcp?.kind === 'map') addressScope(pcp.externalAddress)
    if (natPmp || pcp) read++
  }
  t.true(read > 0)
})
