import { closeSync, fstatSync, openSync } from 'node:fs'
import { CulvertError } from '../../common/errors.ts'
import type { ControlStream } from '../control/control-client.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts'

/**
 * Joins standard input and output to a stream until both ways are done, and resolves with the exit code. Each end is
 * passed on by itself, so `printf question | culvert connect ...` gets its answer; a cut stream rejects.
 */
export async function joinStandardStreams(stream: ControlStream, signal: AbortSignal): Promise<number> {
  const { socket } = stream
  const { stdin, stdout } = process
  const broken = Promise.withResolvers<number>()
  const outputDone = Promise.withResolvers<void>()

  const abort = () => broken.reject(new CulvertError('aborted', 'the command was stopped', { cause: signal.reason }))
  signal.addEventListener('abort', abort, { once: true })
  // Nobody reads any more (as with `| head`): quiet, as other programs are.
  stdout.on('error', () => broken.resolve(EXIT_FAILED))
  // A terminal that hangs up gives an error where others give an end.
  stdin.on('error', () => socket.end())
  socket.on('error', () => outputDone.resolve())
  socket.on('end', () => stdout.write('', () => outputDone.resolve()))
  stdin.pipe(socket)
  socket.pipe(stdout, { end: false })

  const whole = async () => {
    await outputDone.promise
    releaseStandardOutput()
    // Nobody at a keyboard waits for a service that has said its last.
    if (stdin.isTTY && socket.readableEnded) socket.end()
    await stream.ended(signal)
    return EXIT_DONE
  }
  try {
    return await Promise.race([whole(), broken.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    stdin.unpipe(socket)
    stdin.destroy()
    socket.destroy()
  }
}

/**
 * Lets the reader of standard output see its end while input is still open: ssh waits for that. Node never closes the
 * descriptor by itself; /dev/null takes its number, so that no later file or socket becomes "standard output".
 */
function releaseStandardOutput(): void {
  const kind = fstatSync(1)
  if (!kind.isFIFO() && !kind.isSocket()) return
  process.stdout.end(() => {
    closeSync(1)
    openSync('/dev/null', 'w')
  })
}
