// JSON (RFC 8259) read more strictly than JSON.parse does: a member that is there twice is an error, and whole numbers are read
// as they are written, beyond 2^53 too. Two readers of one token must not see two things (RFC 7519 4).

/** A value; whole numbers are bigint, all others number. */
export type Json = null | boolean | bigint | number | string | Json[] | Map<string, Json>

/** How deep values may lie in one another. */
const DEEPEST = 128
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const BLANK = /[ \t\n\r]*/y
const WHOLE = /^(?:-[1-9]|[0-9])[0-9]*$/
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' }

/** Of which names the members are of an object that is itself a member. */
export type Within = ReadonlyMap<string, ReadonlySet<string>>

/** The text is not JSON, or not of the shape that was asked for. */
export class JsonError extends Error {
  override name = 'JsonError'
}

/** Reads one text from its beginning to its end. */
export class JsonReader {
  #at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The members of an object that have these names, and of the objects that are `within` it; others are passed over. */
  members(names: ReadonlySet<string>, within?: Within): Map<string, Json> {
    const members = new Map<string, Json>()
    for (const name of this.names()) {
      const inner = within?.get(name)
      if (!names.has(name)) this.skip()
      else if (members.has(name)) throw new JsonError('a member is there twice')
      else if (inner && this.#peek() === '{') members.set(name, this.members(inner, within))
      else members.set(name, this.value())
    }
    return members
  }

  /** The names of an object's members. Behind each, the value has to be read or skipped. */
  *names(): Generator<string, void> {
    this.#expect('{')
    if (this.#take('}')) return
    do {
      const name = this.#string()
      this.#expect(':')
      yield name
    } while (this.#take(','))
    this.#expect('}')
  }

  /** Stands before each element of an array, which has to be read or skipped. */
  *elements(): Generator<void, void> {
    this.#expect('[')
    if (this.#take(']')) return
    do yield
    while (this.#take(','))
    this.#expect(']')
  }

  /** Any value. */
  value(depth = 0): Json {
    if (depth > DEEPEST) throw new JsonError('too deep')
    switch (this.#peek()) {
      case '"':
        return this.#string()
      case '{':
        return this.#map(depth)
      case '[': {
        const elements: Json[] = []
        for (const _ of this.elements()) elements.push(this.value(depth + 1))
        return elements
      }
      default:
        return this.#scalar()
    }
  }

  /** Passes over a value, however deep. */
  skip(): void {
    const open: string[] = []
    do {
      const closing = CLOSING[this.#peek()]
      if (closing) {
        this.#at += 1
        if (!this.#take(closing)) {
          open.push(closing)
          if (closing === '}') this.#name()
          continue
        }
      } else if (this.#peek() === '"') this.#rawString()
      else this.#scalar()
      this.#close(open)
    } while (open.length > 0)
  }

  /** Nothing may follow. */
  end(): void {
    if (this.#peek() !== '') throw new JsonError('more than one value')
  }

  #map(depth: number): Map<string, Json> {
    const map = new Map<string, Json>()
    for (const name of this.names()) {
      if (map.has(name)) throw new JsonError('a member is there twice')
      map.set(name, this.value(depth + 1))
    }
    return map
  }

  #name(): void {
    this.#rawString()
    this.#expect(':')
  }

  /** Behind a value that was passed over: the next one, or the ends of what it lies in. */
  #close(open: string[]): void {
    for (let closing = open.at(-1); closing; closing = open.at(-1)) {
      if (this.#take(',')) {
        if (closing === '}') this.#name()
        return
      }
      this.#expect(closing)
      open.pop()
    }
  }

  #scalar(): null | boolean | bigint | number {
    for (const [word, value] of [['null', null], ['true', true], ['false', false]] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    const number = this.#match(NUMBER)
    if (number === '') throw new JsonError('no value')
    return WHOLE.test(number) ? BigInt(number) : Number(number)
  }

  #string(): string {
    const raw = this.#rawString()
    const text = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
    if (/\p{Surrogate}/u.test(text)) throw new JsonError('half a character')
    return text
  }

  /** A string as it is written, with its quotes. */
  #rawString(): string {
    this.#expect('"')
    const start = this.#at - 1
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (!(code >= 0x20)) throw new JsonError('a string does not end')
      if (code === 0x5c) {
        if (this.#match(ESCAPE) === '') throw new JsonError('an escape that is none')
        continue
      }
      this.#at += 1
      if (code === 0x22) return this.#text.slice(start, this.#at)
    }
  }

  #peek(): string {
    this.#match(BLANK)
    return this.#text.charAt(this.#at)
  }

  #take(character: string): boolean {
    const is = this.#peek() === character
    if (is) this.#at += 1
    return is
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw new JsonError('not the shape that is wanted')
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }
}

/** The members of a text that is one object, of those names, and of the objects `within` it. */
export function membersOf(text: string, names: ReadonlySet<string>, within?: Within): Map<string, Json> {
  const reader = new JsonReader(text)
  const members = reader.members(names, within)
  reader.end()
  return members
}

const I64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n }
const U64 = { least: 0n, most: 2n ** 64n - 1n }

/** Members by the one type that each may have. What is missing is undefined; `null` is not missing. */
export class Members {
  readonly #map: Map<string, Json>

  constructor(map: Map<string, Json>) {
    this.#map = map
  }

  text(name: string): string | undefined {
    return this.#typed(name, (value): value is string => typeof value === 'string')
  }

  flag(name: string): boolean | undefined {
    return this.#typed(name, (value): value is boolean => typeof value === 'boolean')
  }

  i64(name: string): bigint | undefined {
    return this.#typed(name, (value): value is bigint => isWithin(value, I64))
  }

  u64(name: string): bigint | undefined {
    return this.#typed(name, (value): value is bigint => isWithin(value, U64))
  }

  texts(name: string): string[] | undefined {
    return this.#typed(name, isTexts)
  }

  object(name: string): Members | undefined {
    const map = this.#typed(name, (value): value is Map<string, Json> => value instanceof Map)
    return map && new Members(map)
  }

  /** One text or several. */
  textOrTexts(name: string): string[] | undefined {
    return typeof this.#map.get(name) === 'string' ? [this.text(name) ?? ''] : this.texts(name)
  }

  #typed<T extends Json>(name: string, is: (value: Json) => value is T): T | undefined {
    const value = this.#map.get(name)
    if (value === undefined || is(value)) return value
    throw new JsonError('a member has another type')
  }
}

/** What has to be there. */
export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new JsonError('a member is missing')
  return value
}

function isWithin(value: Json, { least, most }: typeof I64): value is bigint {
  return typeof value === 'bigint' && value >= least && value <= most
}

function isTexts(value: Json): value is string[] {
  return Array.isArray(value) && value.every((element) => typeof element === 'string')
}
