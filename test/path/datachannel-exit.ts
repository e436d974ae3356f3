// Run by datachannel.test.ts as a process of its own: makes connections, closes all of them, and has nothing left that
// would keep it alive. Prints how many milliseconds the closing blocked.
import { once } from 'node:events'
import { closeAllDatachannels } from '../../agent/path/datachannel/attempt.ts'
import { connectPair, startPair } from './datachannel-pair.ts'

if (process.argv[2] === 'open') {
  for (let i = 0; i < 3; i++) {
    const [a, b] = await connectPair()
    b.stream.resume()
    const fill = () => {
      while (!a.stream.destroyed && a.stream.write(Buffer.alloc(65536)));
    }
    a.stream.on('drain', fill)
    fill()
    await once(b.stream, 'data')
  }
} else {
  startPair({ pass: signal => (signal.kind === 'candidate' ? undefined : signal) })
  await new Promise(resolve => setTimeout(resolve, 200))
}
const startedAt = performance.now()
closeAllDatachannels()
process.stdout.write(`${performance.now() - startedAt}\n`)
