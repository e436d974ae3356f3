import { childText, elementsNamed, escapeXml, readXml } from './xml.ts'

/** What a device answered to an action. */
export type SoapAnswer =
  | { readonly kind: 'values'; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: 'fault'; readonly code: number }

export interface SoapRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Arguments go out in the order given: some routers read them by position. */
export function soapRequest(
  serviceType: string,
  action: string,
  args: ReadonlyArray<readonly [string, string | number]>,
): SoapRequest {
  const fields = args.map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`).join('')
  const body =
    '<?xml version="1.0"?>\r\n' +
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${escapeXml(serviceType)}">${fields}</u:${action}>` +
    '</s:Body></s:Envelope>\r\n'
  const headers = { 'Content-Type': 'text/xml; charset="utf-8"', SOAPAction: `"${serviceType}#${action}"` }
  return { headers, body }
}

/** The values or the error number in a response; undefined when it is neither. */
export function parseSoapAnswer(xml: string, action: string): SoapAnswer | undefined {
  const root = readXml(xml)
  if (!root) return undefined
  const fault = elementsNamed(root, 'Fault')[0]
  if (fault) {
    const error = elementsNamed(fault, 'UPnPError')[0]
    const code = Number(error && childText(error, 'errorCode'))
    return Number.isInteger(code) && code > 0 && code < 1000 ? { kind: 'fault', code } : undefined
  }
  const response = elementsNamed(root, `${action}Response`)[0]
  if (!response) return undefined
  return { kind: 'values', values: new Map(response.children.map(({ name, text }) => [name, text])) }
}
