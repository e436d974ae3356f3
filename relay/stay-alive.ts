import { MessageChannel } from 'node:worker_threads'

/**
 * Keeps the process alive until disposed. The clock's timers do not, so without it a start that waits for its port, or a
 * stop that waits for pipes, would end the process halfway when nothing else is open.
 */
export function stayAlive(): Disposable {
  const { port1 } = new MessageChannel()
  port1.ref()
  return { [Symbol.dispose]: () => port1.close() }
}
