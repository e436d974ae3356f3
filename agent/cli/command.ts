/** One option of a command. */
export interface OptionSpec {
  /** What follows the option, as `FILE`; absent for a flag. */
  readonly value?: string
  readonly multiple?: boolean
  /** Taken, and not told in help: for our own units and tests. */
  readonly hidden?: boolean
  readonly summary: string
}

/** What a command takes and does, for parsing and for help; its code is loaded only when it runs. */
export interface CommandSpec {
  readonly name: string
  /** As shown in help: `PEER/SERVICE`; in brackets when it may be left out. */
  readonly operands: readonly string[]
  readonly summary: string
  readonly options: Readonly<Record<string, OptionSpec>>
  /** Further lines for `culvert help COMMAND`. */
  readonly notes?: string
  readonly load: () => Promise<CommandModule>
}

export interface CommandModule {
  /** Resolves with the exit code; errors are thrown as CulvertErrors. */
  run(args: Arguments, io: CommandIo): Promise<number>
}

/** A command line after it was held against its command's spec. */
export interface Arguments {
  /** The operand at an index; empty where an optional one was left out. */
  operand(index: number): string
  flag(name: string): boolean
  value(name: string): string | undefined
  values(name: string): readonly string[]
}

export interface CommandIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}
