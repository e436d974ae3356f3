import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { LabProcess } from '../test/lab/lab-process.ts'
import type { Machine } from './stage.ts'

const PROGRAMS = join(import.meta.dirname, 'programs')

/** A measuring program at work on some machine; it answers commands one by one. */
export class Program {
  readonly process: LabProcess
  readonly machine: Machine
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #nextId = 1

  private constructor(machine: Machine, process: LabProcess) {
    this.machine = machine
    this.process = process
  }

  /** Starts `programs/NAME.ts` and waits until it takes commands. */
  static async start(machine: Machine, name: string, args: readonly string[] = []): Promise<Program> {
    const started = machine.spawn(process.execPath, [join(PROGRAMS, `${name}.ts`), ...args], { output: 'piped' })
    const program = new Program(machine, started)
    const ready = Promise.withResolvers<void>()
    createInterface({ input: started.child.stdout }).on('line', line => {
      if (line === 'ready') ready.resolve()
      else program.#take(line)
    })
    void started.exited.then(({ stderr }) => {
      const gone = new Error(`${name} has ended: ${stderr}`)
      ready.reject(gone)
      for (const { reject } of program.#waiting.values()) reject(gone)
    })
    await ready.promise
    return program
  }

  get pid(): number {
    return this.process.pid
  }

  /** Runs one command. `decode` is what checks the answer. */
  async ask<Answer>(
    what: string,
    fields: Readonly<Record<string, unknown>>,
    decode: (answer: unknown) => Answer,
  ): Promise<Answer> {
    const id = this.#nextId++
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.process.child.stdin.write(`${JSON.stringify({ ...fields, do: what, id })}\n`)
    return decode(await waiting.promise)
  }

  #take(line: string): void {
    const answer = fieldsOf(JSON.parse(line))
    const id = Number(answer.id)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (answer.error === undefined) waiting?.resolve(answer.result)
    else waiting?.reject(new Error(String(answer.error)))
  }
}

/** The fields of an answer that is an object. */
export function fieldsOf(answer: unknown): Readonly<Record<string, unknown>> {
  if (typeof answer !== 'object' || answer === null) throw new Error(`not an object: ${JSON.stringify(answer)}`)
  return Object.fromEntries(Object.entries(answer))
}

export function numbersOf(answer: unknown): readonly number[] {
  if (!Array.isArray(answer)) throw new Error(`not a list: ${JSON.stringify(answer)}`)
  return answer.map(Number)
}

export const nothing = (): void => undefined
