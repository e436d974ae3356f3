import { hello, TestLine } from '../../test/relay/test-agent.ts'
import { serveCommands } from './commands.ts'

// Opens control lines to the relay `URL`, each as an agent of its own, and leaves them be.

const url = new URL(process.argv[2] ?? '')
const AT_A_TIME = 20
const lines: TestLine[] = []

async function open(): Promise<void> {
  const line = new TestLine(`${url.protocol}//${url.host}/v1/agent`, { insecure: true })
  lines.push(line)
  await hello(line, { address: url.hostname, port: Number(url.port) }, { relayName: url.host })
  await line.next('welcome')
}

serveCommands({
  async open(request) {
    for (let left = request.number('lines'); left > 0; left -= AT_A_TIME) {
      await Promise.all(Array.from({ length: Math.min(AT_A_TIME, left) }, open))
    }
    return lines.length
  },
})
