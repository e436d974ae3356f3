import test from 'ava'
import {
  classifyFiltering,
  classifyMapping,
  type MappingBehaviour,
  type MappingObservation,
} from '../../../../agent/nat/behaviour.ts'

const A1 = { address: '198.51.100.1', port: 3478 }
const A2 = { address: '198.51.100.1', port: 3479 }
const B1 = { address: '198.51.100.2', port: 3478 }
const outside = (port: number, address = '192.0.2.7') => ({ address, port })
const away = () => false

const MAPPINGS: ReadonlyArray<readonly [string, readonly MappingObservation[], MappingBehaviour, string]> = [
  ['no server known', [], 'unknown', ''],
  ['nobody answers', [{ server: A1, outside: undefined }], 'blocked', ''],
  ['one answer', [{ server: A1, outside: outside(1) }], 'unknown', '192.0.2.7:1'],
  [
    'one of two answers',
    [
      { server: A1, outside: undefined },
      { server: B1, outside: outside(2) },
    ],
    'unknown',
    '192.0.2.7:2',
  ],
  [
    'the same for two addresses',
    [
      { server: A1, outside: outside(1) },
      { server: B1, outside: outside(1) },
    ],
    'endpoint-independent',
    '192.0.2.7:1',
  ],
  [
    'the same for two ports of one address',
    [
      { server: A1, outside: outside(1) },
      { server: A2, outside: outside(1) },
    ],
    'endpoint-independent',
    '192.0.2.7:1',
  ],
  [
    'another port for each port',
    [
      { server: A1, outside: outside(1) },
      { server: A2, outside: outside(2) },
    ],
    'address-and-port-dependent',
    '192.0.2.7:1',
  ],
  [
    'another port for each address, ports compared',
    [
      { server: A1, outside: outside(1) },
      { server: A2, outside: outside(1) },
      { server: B1, outside: outside(2) },
    ],
    'address-dependent',
    '192.0.2.7:1',
  ],
  [
    'another port for each address, ports not compared',
    [
      { server: A1, outside: outside(1) },
      { server: B1, outside: outside(2) },
    ],
    'address-and-port-dependent',
    '192.0.2.7:1',
  ],
  [
    'another address from a pool',
    [
      { server: A1, outside: outside(1) },
      { server: A2, outside: outside(1, '192.0.2.8') },
    ],
    'address-and-port-dependent',
    '192.0.2.7:1',
  ],
]

for (const [title, observations, mapping, address] of MAPPINGS) {
  test(`mapping: ${title} is ${mapping}`, t => {
    const result = classifyMapping(observations, away)
    t.is(result.mapping, mapping)
    t.is(result.address ? `${result.address.address}:${result.address.port}` : '', address)
  })
}

test('mapping: an outside address that is our own means no NAT', t => {
  const observations = [{ server: A1, outside: outside(1) }]
  t.is(classifyMapping(observations, ({ address }) => address === '192.0.2.7').mapping, 'none')
})

test('filtering: every answer that can come in or stay out has its name', t => {
  const both = { port: true, address: true }
  const portOnly = { port: true, address: false }
  const neither = { port: false, address: false }
  const seen = (canChange: typeof both, plain: boolean, fromOtherPort: boolean, fromOtherAddress: boolean) =>
    classifyFiltering({ canChange, plain, fromOtherPort, fromOtherAddress }, false)
  t.is(seen(both, true, true, true), 'endpoint-independent')
  t.is(seen(both, true, true, false), 'address-dependent')
  t.is(seen(both, true, false, false), 'address-and-port-dependent')
  t.is(seen(portOnly, true, true, false), 'address-dependent')
  t.is(seen(portOnly, true, false, false), 'address-and-port-dependent')
  t.is(seen(neither, true, false, false), 'unknown')
  t.is(seen(neither, false, false, false), 'blocked')
  t.is(classifyFiltering(undefined, false), 'unknown')
  const open = { canChange: both, plain: true, fromOtherPort: true, fromOtherAddress: true }
  t.is(classifyFiltering(open, true), 'none')
  t.is(
    classifyFiltering({ ...open, fromOtherPort: false, fromOtherAddress: false }, true),
    'address-and-port-dependent',
  )
})
