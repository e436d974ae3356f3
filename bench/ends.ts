import type { Program } from './program.ts'
import type { Stage } from './stage.ts'
import type { Carrier } from './traffic.ts'

/** A traffic end on each of two machines; what carries bytes between them leads to the service of the far one. */
export interface Ends {
  readonly stage: Stage
  readonly near: Program
  readonly far: Program
  /** On `far`'s machine, every address. */
  readonly servicePort: number
}

/** What the near end reaches by connecting to this address of its own machine or another one. */
export function through(
  { near, far }: Ends,
  target: { readonly host: string; readonly port: number },
  pids: readonly number[],
): Carrier {
  return { near, far, start: target, pids }
}
