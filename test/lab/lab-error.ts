export type LabErrorCode =
  | 'bad-option'
  | 'command-failed'
  | 'missing-tool'
  | 'not-permitted'
  | 'process-exited'
  | 'timeout'
  | 'unknown-name'

/** Why the lab could not do what was asked; the message says what was tried and the remedy. */
export class LabError extends Error {
  override readonly name = 'LabError'
  readonly code: LabErrorCode

  constructor(code: LabErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
