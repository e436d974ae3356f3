import type { InviteCode } from '../../common/wire/invite-code.ts'
import { ALICE, BOB, fromHex, RELAY } from './keys.ts'

export const INVITE: InviteCode = {
  network: ALICE.id,
  inviter: BOB.id,
  secret: new Uint8Array(fromHex('000102030405060708090a0b0c0d0e0f')),
  expiresAt: 1_795_780_800,
  relays: [{ url: 'http://203.0.113.5:8080', id: RELAY.id }, { url: 'https://relay.example.org' }],
  endpoints: [
    { address: '192.168.1.20', port: 41822 },
    { address: '2001:db8::20', port: 41822 },
  ],
}

/** What the text carries, without its check sum. */
export const INVITE_HEX = `
  01 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
  3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
  000102030405060708090a0b0c0d0e0f 6b0970c0
  02
  01 10 3230332e302e3131332e353a38303830 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
  02 11 72656c61792e6578616d706c652e6f7267
  02
  04 a35e c0a80114
  06 a35e 20010db8000000000000000000000020`

export const INVITE_TEXT =
  'culvert1ahlvvgabqkyqvn6vjp7nhslea45a5yls6pnkmizfv4bbu2hxa5irupkac7b6qq4jlkjlocvhjunx5pe4tawm6lwes2gmbtkv6evpizqmaaaqeayeaudaocajbifqydiob5vqs4gaaiaramrqgmxdalrrgezs4nj2haydqmh4khgy4yqyugry3jd62abdb4cybalo2e52gmb2yxplsekureeaeubbc4tfnrqxsltfpbqw24dmmuxg64thaickgxwavaaribvdlyqacdnyaaaaaaaaaaaaaaaaaaqopgjnwu'

/** What the secret of the code makes. */
export const GUEST = '4dd7g26r4bqsslkgmk2oqnm45ttocvq2tftpl2sl5ykcaqallc6q'

export const LAN_KEY = 'd98eac87a54c2e9bb4dee50a52805edd'

/** RELAY joins, over a connection whose exporter is 55 55 ... */
export const JOIN_PROOF = `
  0e 63756c766572742f31206a6f696e
  d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
  3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
  e0c7f36bd1e061292d4662b4e8359cece6e1561a9966f5ea4bee1420400b58bd
  fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
  5555555555555555555555555555555555555555555555555555555555555555`

export const JOIN_REQUEST = `
  01 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
  0005 6174746963
  48b7a0cbf4c2e52de668bc90213856a07e27871f7ef47770d52dccecc92c96ae
  40439a1acc3013a16e8e87f5fe540cc4be080e194885833eb420b6fb7dbc4e04`

/** With two statements, which are none here. */
export const JOIN_ADMITTED = `
  01 00 0707070707070707070707070707070707070707070707070707070707070707
  0002 0002 abcd 0001 ef`

export const JOIN_REFUSED = '01 01 000a 69742069732075736564'
