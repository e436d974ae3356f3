import { onDevice } from './ssdp.ts'
import { childText, elementsNamed, readXml } from './xml.ts'

/** A service of the gateway that holds port mappings. */
export interface IgdService {
  /** The full type, as SOAP requests name it. */
  readonly type: string
  readonly version: number
  readonly controlUrl: URL
}

/** A router has one WAN connection or two; more is noise. */
const MAX_SERVICES = 4
const CONNECTION = /^urn:schemas-upnp-org:service:(WANIPConnection|WANPPPConnection):(\d)$/

/**
 * The connection services in a gateway's description, newest version first, IP before PPP. Control addresses on another
 * host than the description's are left out.
 */
export function readIgdDescription(xml: string, location: URL): readonly IgdService[] {
  const root = readXml(xml)
  if (!root) return []
  const base = baseOf(childText(root, 'URLBase'), location)
  const found: (IgdService & { readonly ppp: boolean })[] = []
  for (const service of elementsNamed(root, 'service')) {
    const type = childText(service, 'serviceType') ?? ''
    const control = childText(service, 'controlURL')
    const match = CONNECTION.exec(type)
    if (!match || !control || !URL.canParse(control, base.href)) continue
    const controlUrl = onDevice(new URL(control, base), location.hostname)
    if (controlUrl) found.push({ type, version: Number(match[2]), controlUrl, ppp: match[1] === 'WANPPPConnection' })
  }
  return found
    .toSorted((a, b) => Number(a.ppp) - Number(b.ppp) || b.version - a.version)
    .slice(0, MAX_SERVICES)
    .map(({ type, version, controlUrl }) => ({ type, version, controlUrl }))
}

/** URLBase is UPnP 1.0's; some devices fill it with an address that they do not have. */
function baseOf(base: string | undefined, location: URL): URL {
  return (base && URL.canParse(base) && onDevice(new URL(base), location.hostname)) || location
}
