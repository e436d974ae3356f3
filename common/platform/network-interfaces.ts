import { networkInterfaces } from 'node:os'

/** One address of this machine. */
export interface InterfaceAddress {
  readonly interfaceName: string
  readonly address: string
  readonly family: 4 | 6
  readonly prefixLength: number
  readonly loopback: boolean
}

/** Every usable address of this machine. IPv6 link-local ones are left out: they mean nothing without a zone. */
export function listInterfaceAddresses(): readonly InterfaceAddress[] {
  const found: InterfaceAddress[] = []
  for (const [interfaceName, addresses] of Object.entries(networkInterfaces())) {
    for (const entry of addresses ?? []) {
      const family = entry.family === 'IPv6' ? 6 : 4
      if (family === 6 && entry.address.toLowerCase().startsWith('fe80:')) continue
      const prefixLength = Number(entry.cidr?.split('/')[1] ?? (family === 4 ? 32 : 128))
      found.push({ interfaceName, address: entry.address, family, prefixLength, loopback: entry.internal })
    }
  }
  return found
}

/** The IPv6 link-local address of each interface that has one, by the interface's name. */
export function listLinkLocalAddresses(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [interfaceName, addresses] of Object.entries(networkInterfaces())) {
    const own = addresses?.find(({ family, address, internal }) => {
      return family === 'IPv6' && !internal && address.toLowerCase().startsWith('fe80:')
    })
    if (own) found.set(interfaceName, own.address)
  }
  return found
}
