import { startDhtNodes } from './dht-nodes.ts'

// serve.ts ADDRESS COUNT: a DHT of so many nodes on one address; tells each, and runs until it is ended.

const [address = '127.0.0.1', count = '8'] = process.argv.slice(2)
const { endpoints } = await startDhtNodes(Number(count), address)
for (const { port } of endpoints) process.stdout.write(`node ${address}:${port}\n`)
process.stdout.write('ready\n')
