import type { AddressRecord } from '../../common/wire/address-record.ts'
import { ALICE, RELAY } from './keys.ts'

/** Of an agent with two relays, one by name. */
export const RECORD: AddressRecord = {
  peer: ALICE.id,
  sequence: 1_764_158_400_000,
  places: [0xbeef, 0x0001],
  relays: [
    { url: 'https://relay.example.org', id: undefined, address: '203.0.113.5' },
    { url: 'http://[2001:db8::1]:8080', id: RELAY.id, address: undefined },
  ],
  candidates: [
    { kind: 'tcp', how: 'lan', endpoint: { address: '192.168.1.20', port: 4001 } },
    { kind: 'udp', how: 'mapped', endpoint: { address: '203.0.113.9', port: 65535 } },
    { kind: 'tcp', how: 'ipv6', endpoint: { address: '2001:db8::42', port: 443 } },
  ],
}
export const RECORD_HEX = `d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a 0000019ac008e600 02 beef 0001
  02 0019 68747470733a2f2f72656c61792e6578616d706c652e6f7267 00 04 cb007105
  0019 687474703a2f2f5b323030313a6462383a3a315d3a38303830 01 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025 00
  03 0000040fa1c0a80114 010304ffffcb007109 00020601bb20010db8000000000000000000000042
  c297fd2b96294b0ccece1092ae27711bce3ee3964b789e95684d8bf3fe2032e44a4c137c4ec5676ab08961c2322a4339814a5c5214f3b963d91ceda624c8b603`

/** Of one that has nothing to tell. */
export const EMPTY_RECORD: AddressRecord = { peer: ALICE.id, sequence: 1, places: [], relays: [], candidates: [] }
export const EMPTY_RECORD_HEX = `d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a 0000000000000001 00 00 00
  59a29db7e3e8aeb36a43e094e1f6d1a52e48dbbab93299c1639aecd42f827a8991ee0706f681b5546ae532a00ba387baec9260421ee7fbb369c03492a3090106`

/** Of one that carries bytes for others. */
export const CARRYING_RECORD: AddressRecord = { ...EMPTY_RECORD, carries: true }
export const CARRYING_RECORD_HEX = `d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a 0000000000000001 00 00 00 01
  b18c9dcd9d64e92c5a4f82a0ae5dd39695f16ba8516d4a333a7cbb0cee47e7acff648db9bfba18779fbae26271cb2c82a453887b4a3ab6c5032320a32d7b1404`
