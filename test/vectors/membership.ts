import type { MemberDetails } from '../../common/wire/member-details.ts'
import type { Entry } from '../../common/wire/membership.ts'
import { ALICE, BOB, fromHex, RELAY } from './keys.ts'

/** The salt is 40 41 ... 4f. */
export const DETAILS: MemberDetails = {
  name: 'attic',
  roles: ['family', 'ops'],
  salt: Uint8Array.from({ length: 16 }, (_, i) => 0x40 + i),
}
export const DETAILS_HEX = '404142434445464748494a4b4c4d4e4f 0005 6174746963 02 0006 66616d696c79 0003 6f7073'
const HASH = '9c9ce64b8b3f93531071ce0c992e476687fa83ab35c356fb7fdfdbc78b7c554d'

const common = { network: ALICE.id, issuedAt: 1_795_600_000 }

/** The root is ALICE, who makes BOB an admin, who takes RELAY in, whom ALICE removes. */
export const ADMIN: Entry = {
  ...common,
  peer: BOB.id,
  version: 3,
  grant: 2,
  notAfter: 0,
  removed: false,
  admin: true,
  details: new Uint8Array(fromHex(HASH)),
  signer: ALICE.id,
  signature: new Uint8Array(
    fromHex(`6c14d17e879636783486424c39b2146f9c821300a5b6f375b8b5ce10b3167dd8
      31bf3fde9803d241aa0c8377e4bf8da52b7d40ccd5aa5cb888d4013fb905ab00`),
  ),
}
export const MEMBER: Entry = {
  ...common,
  peer: RELAY.id,
  version: 1,
  grant: 2,
  notAfter: 1_827_136_000,
  removed: false,
  admin: false,
  details: new Uint8Array(fromHex(HASH)),
  signer: BOB.id,
  signature: new Uint8Array(
    fromHex(`16fc9bb6b5fca44b25446c3f286d9a34f7bbf059395dc2aa61be28ab8175df73
      92e11f0dd5af1acb650f2c901b4990375bd527fbc56e2e771a9693ffda96f606`),
  ),
}
export const REMOVED: Entry = {
  ...common,
  peer: RELAY.id,
  version: 2,
  grant: 0,
  notAfter: 0,
  removed: true,
  admin: false,
  details: new Uint8Array(32),
  signer: ALICE.id,
  signature: new Uint8Array(
    fromHex(`21bb168945a06410e6288707944bc1b24d2f321c8012e7f5704bf95ce65d6fa8
      02c0b18e6cdce81b620913203e83847cc9e56e02e9266c08ca1f13e1c6fecb00`),
  ),
}

const KEYS = {
  alice: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  bob: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  relay: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
}

/** Network, peer; version, grant, issued, not after, flags; hash of the details, signer; signature. */
export const ENTRIES: ReadonlyArray<{ readonly name: string; readonly entry: Entry; readonly hex: string }> = [
  {
    name: 'an admin, by the root',
    entry: ADMIN,
    hex: `${KEYS.alice} ${KEYS.bob}
      0000000000000003 0000000000000002 000000006b06ae80 0000000000000000 02
      ${HASH} ${KEYS.alice}
      6c14d17e879636783486424c39b2146f9c821300a5b6f375b8b5ce10b3167dd8
      31bf3fde9803d241aa0c8377e4bf8da52b7d40ccd5aa5cb888d4013fb905ab00`,
  },
  {
    name: 'a member until a day, by an admin',
    entry: MEMBER,
    hex: `${KEYS.alice} ${KEYS.relay}
      0000000000000001 0000000000000002 000000006b06ae80 000000006ce7e200 00
      ${HASH} ${KEYS.bob}
      16fc9bb6b5fca44b25446c3f286d9a34f7bbf059395dc2aa61be28ab8175df73
      92e11f0dd5af1acb650f2c901b4990375bd527fbc56e2e771a9693ffda96f606`,
  },
  {
    name: 'a removal, by the root',
    entry: REMOVED,
    hex: `${KEYS.alice} ${KEYS.relay}
      0000000000000002 0000000000000000 000000006b06ae80 0000000000000000 01
      ${'00'.repeat(32)} ${KEYS.alice}
      21bb168945a06410e6288707944bc1b24d2f321c8012e7f5704bf95ce65d6fa8
      02c0b18e6cdce81b620913203e83847cc9e56e02e9266c08ca1f13e1c6fecb00`,
  },
]

/** What is signed of ADMIN: the label, and all of the entry but the signature. */
export const ADMIN_STATEMENT = `10 63756c766572742f31206d656d626572 ${KEYS.alice} ${KEYS.bob}
  0000000000000003 0000000000000002 000000006b06ae80 0000000000000000 02 ${HASH} ${KEYS.alice}`
