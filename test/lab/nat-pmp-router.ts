/**
 * A router's NAT-PMP (RFC 6886) that tells and maps whatever address it has outside, as many routers do and miniupnpd does
 * not when that address is private:
 *
 *   node nat-pmp-router.ts OUTSIDE maps|refuses
 *
 * Mappings go into the chain that the lab keeps for miniupnpd. It says `ready` when it listens.
 */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'

const PORT = 5351
const NOT_AUTHORIZED = 2

const [outside = '', mode] = process.argv.slice(2)
const startedAt = Date.now()
const mappings = new Map<string, string>()

function apply(): void {
  const rules = [...mappings.values()].map(rule => `add rule inet lab prerouting_miniupnpd iifname wan ${rule}`)
  execFileSync('nft', ['-f', '-'], { input: ['flush chain inet lab prerouting_miniupnpd', ...rules, ''].join('\n') })
}

function answerTo(request: Buffer, client: string): Buffer | undefined {
  const opcode = request[1] ?? 0
  const head = Buffer.alloc(8)
  head.set([0, 128 + opcode])
  head.writeUInt32BE(Math.floor((Date.now() - startedAt) / 1000), 4)
  if (request[0] !== 0) return undefined
  if (opcode === 0) return Buffer.concat([head, Buffer.from(outside.split('.').map(Number))])
  const answer = Buffer.concat([head, request.subarray(4, 12)])
  if (mode === 'refuses') {
    answer.writeUInt16BE(NOT_AUTHORIZED, 2)
    return answer
  }
  const protocol = opcode === 1 ? 'udp' : 'tcp'
  const [internalPort, externalPort] = [request.readUInt16BE(4), request.readUInt16BE(6)]
  const key = `${protocol} ${client}:${internalPort}`
  if (request.readUInt32BE(8) === 0) mappings.delete(key)
  else mappings.set(key, `${protocol} dport ${externalPort} dnat ip to ${client}:${internalPort}`)
  apply()
  return answer
}

const socket = createSocket('udp4')
socket.on('message', (request, from) => {
  const answer = request.length >= 2 ? answerTo(request, from.address) : undefined
  if (answer) socket.send(answer, from.port, from.address)
})
socket.bind(PORT, () => process.stdout.write('ready\n'))
