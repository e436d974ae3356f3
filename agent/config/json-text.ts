/** What is wrong with a JSON text and where; `line` and `column` count from 1. */
export interface JsonFault {
  readonly line: number
  readonly column: number
  readonly problem: string
  readonly remedy: string
}

/** A key of an object, as the list of keys and indices that leads to it. */
export type JsonPath = readonly (string | number)[]

export type JsonResult =
  | { readonly ok: true; readonly value: unknown; readonly repeatedKeys: readonly JsonPath[] }
  | { readonly ok: false; readonly fault: JsonFault }

/** Far more than any config needs, and far less than the stack holds. */
const DEPTH_LIMIT = 32
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Reads JSON as `JSON.parse` does, and besides tells the line of a mistake, what people mistake for JSON, and keys that
 * stand twice: `JSON.parse` names no line for some faults and drops a repeated key without a word.
 */
export function parseJsonText(text: string): JsonResult {
  const scanner = new Scanner(text)
  const fault = scanner.document()
  return fault
    ? { ok: false, fault }
    : { ok: true, value: JSON.parse(text) as unknown, repeatedKeys: scanner.repeatedKeys }
}

class Scanner {
  readonly repeatedKeys: JsonPath[] = []
  readonly #text: string
  readonly #path: (string | number)[] = []
  #at = 0
  #fault: JsonFault | undefined

  constructor(text: string) {
    this.#text = text
  }

  document(): JsonFault | undefined {
    this.#space()
    if (this.#at === this.#text.length)
      this.#fail('the file is empty', 'write at least { "stateDir": "/var/lib/culvert" }')
    else if (this.#value()) {
      this.#space()
      if (this.#at < this.#text.length) this.#fail('something follows the last "}"', 'remove it')
    }
    return this.#fault
  }

  #value(): boolean {
    const first = this.#text.charAt(this.#at)
    if (first === '{') return this.#object()
    if (first === '[') return this.#array()
    if (first === '"') return this.#string()
    return this.#literal(/(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y)
  }

  #object(): boolean {
    if (!this.#enter()) return false
    const keys = new Set<string>()
    this.#space()
    if (this.#take('}')) return true
    for (;;) {
      const from = this.#at
      if (this.#text.charAt(from) !== '"') return this.#unexpected('a key in double quotes')
      if (!this.#string()) return false
      const key = String(JSON.parse(this.#text.slice(from, this.#at)))
      this.#space()
      if (!this.#take(':')) return this.#unexpected(`":" after the key "${key.slice(0, 60)}"`)
      this.#path.push(key)
      if (keys.has(key)) this.repeatedKeys.push([...this.#path])
      keys.add(key)
      this.#space()
      if (!this.#value()) return false
      this.#path.pop()
      const more = this.#nextItem('}')
      if (more !== 'more') return more === 'end'
    }
  }

  #array(): boolean {
    if (!this.#enter()) return false
    this.#space()
    if (this.#take(']')) return true
    for (let index = 0; ; index++) {
      this.#path.push(index)
      if (!this.#value()) return false
      this.#path.pop()
      const more = this.#nextItem(']')
      if (more !== 'more') return more === 'end'
    }
  }

  #enter(): boolean {
    this.#at++
    if (this.#path.length < DEPTH_LIMIT) return true
    return this.#fail(`values are nested more than ${DEPTH_LIMIT} deep`, 'compare with the example in the README')
  }

  #nextItem(close: string): 'more' | 'end' | 'fault' {
    this.#space()
    if (this.#take(close)) return 'end'
    if (!this.#take(',')) {
      this.#unexpected(`"," or "${close}"`)
      return 'fault'
    }
    const comma = this.#at - 1
    this.#space()
    if (this.#text.charAt(this.#at) !== close) return 'more'
    this.#at = comma
    this.#fail(`a comma stands before "${close}"`, 'remove the comma')
    return 'fault'
  }

  #string(): boolean {
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const letter = this.#text.charCodeAt(this.#at)
      if (letter === QUOTE) return this.#take('"')
      if (letter < 0x20) break
      if (letter !== BACKSLASH) continue
      const length = this.#match(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y)
      if (length === 0) return this.#fail('a backslash begins no escape that JSON knows', 'write \\\\ for a backslash')
      this.#at += length - 1
    }
    return this.#fail('a text has no closing quote on its line', 'add the missing "')
  }

  #literal(pattern: RegExp): boolean {
    const matched = this.#match(pattern)
    if (matched === 0) return this.#unexpected('a value')
    this.#at += matched
    return true
  }

  #match(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0].length ?? 0
  }

  #space(): void {
    this.#at += this.#match(/[ \t\r\n]*/y)
  }

  #take(sign: string): boolean {
    if (this.#text.charAt(this.#at) !== sign) return false
    this.#at++
    return true
  }

  #unexpected(wanted: string): false {
    const rest = this.#text.slice(this.#at, this.#at + 2)
    if (rest === '') return this.#fail(`the file ends where ${wanted} belongs`, 'is the end of the file missing?')
    if (rest === '//' || rest === '/*' || rest.startsWith('#')) {
      return this.#fail('JSON has no comments', 'remove the comment')
    }
    if (rest.startsWith("'")) return this.#fail('JSON knows no single quotes', 'write " instead of \'')
    return this.#fail(`${JSON.stringify(rest.charAt(0))} stands where ${wanted} belongs`, `write ${wanted} here`)
  }

  #fail(problem: string, remedy: string): false {
    const before = this.#text.slice(0, this.#at).split('\n')
    this.#fault = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, problem, remedy }
    return false
  }
}
