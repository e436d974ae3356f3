/**
 * What port mapping protocols the router of this host speaks, and whether they map UDP port PORT:
 *
 *   node port-mapper-probe.ts GATEWAY PORT        prints a PortMapperReport as one line of JSON
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'

export interface PortMapperReport {
  readonly upnp: {
    readonly igdVersion: number
    readonly externalAddress: string | null
    /** Null: mapped; else the UPnP error code. */
    readonly refusal: number | null
  } | null
  /** Result code of RFC 6886 §3.5 to a mapping request; null: no answer. */
  readonly natPmp: number | null
  /** Result code of RFC 6887 §7.4 to a MAP request; null: no answer. */
  readonly pcp: number | null
}

/** Of a router on a busy machine. */
const WAIT_MS = 2_000

/** The first answer to a datagram, or null. */
async function ask(host: string, port: number, request: Buffer): Promise<Buffer | null> {
  const socket = createSocket('udp4').bind(0)
  await once(socket, 'listening')
  try {
    socket.send(request, port, host)
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) })
    return Buffer.isBuffer(answer) ? answer : null
  } catch {
    return null
  } finally {
    socket.close()
  }
}

async function probeUpnp(localAddress: string, port: number): Promise<PortMapperReport['upnp']> {
  const search = [
    'M-SEARCH * HTTP/1.1',
    'HOST: 239.255.255.250:1900',
    'MAN: "ssdp:discover"',
    'MX: 1',
    'ST: upnp:rootdevice',
    '',
    '',
  ].join('\r\n')
  const answer = await ask('239.255.255.250', 1900, Buffer.from(search))
  const location = /^location: *(\S+)/im.exec(answer?.toString() ?? '')?.[1]
  if (location === undefined) return null
  const description = await (await fetch(location)).text()
  const version = /InternetGatewayDevice:(\d)/.exec(description)?.[1]
  const service = /<serviceType>([^<]*WANIPConnection:\d)<\/serviceType>.*?<controlURL>([^<]*)</s.exec(description)
  const [, type = '', path = ''] = service ?? []
  const call = async (action: string, body: string): Promise<string> => {
    const response = await fetch(new URL(path, location), {
      method: 'POST',
      headers: { 'content-type': 'text/xml', soapaction: `"${type}#${action}"` },
      body: `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
        s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>
        <u:${action} xmlns:u="${type}">${body}</u:${action}></s:Body></s:Envelope>`,
    })
    return response.text()
  }
  const external = await call('GetExternalIPAddress', '')
  const mapped = await call(
    'AddPortMapping',
    `<NewRemoteHost></NewRemoteHost><NewExternalPort>${port}</NewExternalPort><NewProtocol>UDP</NewProtocol>
     <NewInternalPort>${port}</NewInternalPort><NewInternalClient>${localAddress}</NewInternalClient>
     <NewEnabled>1</NewEnabled><NewPortMappingDescription>probe</NewPortMappingDescription>
     <NewLeaseDuration>600</NewLeaseDuration>`,
  )
  const code = /<errorCode>(\d+)/.exec(mapped)?.[1]
  return {
    igdVersion: Number(version),
    externalAddress: /<NewExternalIPAddress>([^<]+)/.exec(external)?.[1] ?? null,
    refusal: code === undefined ? null : Number(code),
  }
}

/** RFC 6886 §3.3: version 0, opcode 1 (UDP), ports, life. */
async function probeNatPmp(gateway: string, port: number): Promise<number | null> {
  const request = Buffer.alloc(12)
  request.writeUInt8(1, 1)
  request.writeUInt16BE(port, 4)
  request.writeUInt16BE(port, 6)
  request.writeUInt32BE(600, 8)
  const answer = await ask(gateway, 5351, request)
  return answer?.[0] === 0 && answer.length >= 4 ? answer.readUInt16BE(2) : null
}

/** RFC 6887 §7.1 and §11.1: version 2, MAP, life, our address; nonce, UDP, ports, any external address. */
async function probePcp(gateway: string, localAddress: string, port: number): Promise<number | null> {
  const request = Buffer.alloc(60)
  request.set([2, 1])
  request.writeUInt32BE(600, 4)
  request.set([0xff, 0xff, ...localAddress.split('.').map(Number)], 18)
  request.writeUInt8(17, 36)
  request.writeUInt16BE(port, 40)
  request.writeUInt16BE(port, 42)
  request.set([0xff, 0xff], 54)
  const answer = await ask(gateway, 5351, request)
  return answer?.[0] === 2 && answer.length >= 4 ? answer.readUInt8(3) : null
}

if (import.meta.main) {
  const [gateway = '', portText] = process.argv.slice(2)
  const port = Number(portText)
  const local = networkInterfaces().eth0?.find(({ address }) => isIPv4(address))?.address ?? ''
  const report: PortMapperReport = {
    upnp: await probeUpnp(local, port),
    natPmp: await probeNatPmp(gateway, port + 1),
    pcp: await probePcp(gateway, local, port + 2),
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
