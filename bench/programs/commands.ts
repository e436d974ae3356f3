import { createInterface } from 'node:readline'

/** What a measuring program is asked: one JSON document a line on standard input, one answer a line on standard output. */
export type Handlers = Readonly<Record<string, (request: Request) => unknown>>

/** The arguments of one command. Only the benchmark itself asks, so a wrong one is a fault of the benchmark. */
export class Request {
  readonly #fields: ReadonlyMap<string, unknown>

  constructor(document: unknown) {
    this.#fields = new Map(typeof document === 'object' && document !== null ? Object.entries(document) : [])
  }

  text(name: string): string {
    return String(this.#fields.get(name) ?? '')
  }

  number(name: string): number {
    return Number(this.#fields.get(name) ?? 0)
  }
}

/** Answers commands until standard input ends, then ends the process. */
export function serveCommands(handlers: Handlers): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => void answer(handlers, new Request(JSON.parse(line))))
  lines.on('close', () => process.exit(0))
  process.stdout.write('ready\n')
}

async function answer(handlers: Handlers, request: Request): Promise<void> {
  const id = request.number('id')
  try {
    const result: unknown = await handlers[request.text('do')]?.(request)
    process.stdout.write(`${JSON.stringify({ id, result: result ?? null })}\n`)
  } catch (thrown) {
    process.stdout.write(`${JSON.stringify({ id, error: String(thrown) })}\n`)
  }
}
