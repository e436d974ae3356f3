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
