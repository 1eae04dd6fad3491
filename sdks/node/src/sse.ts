// Server-sent events (WHATWG HTML 9.2), as far as a feed needs them.

/** The most bytes that one event may take: the issuer's take a hundred. */
const EVENT_MAX_BYTES = 64 * 1024
const [LF, CR] = [0x0a, 0x0d]

/** One event of a stream. */
export interface SseEvent {
  name: string
  id: string | undefined
  data: string
}

/** Takes bytes as they come and gives events as they end. */
export class SseParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #line: Uint8Array[] = []
  #bytes = 0
  /** Whether the last byte was a CR: an LF behind it belongs to the same end of line. */
  #afterCr = false
  #event = empty()
  #begun = false
  #hasData = false

  /** The events that end in these bytes, put behind `events`. Once it has thrown, the parser is of no use. */
  read(bytes: Uint8Array, events: SseEvent[] = []): SseEvent[] {
    let start = 0
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at]
      const isSecondHalf = byte === LF && this.#afterCr
      this.#afterCr = byte === CR
      if (byte !== LF && byte !== CR) continue
      if (!isSecondHalf) {
        this.#keep(bytes.subarray(start, at))
        this.#endLine(events)
      }
      start = at + 1
    }
    this.#keep(bytes.subarray(start))
    return events
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return
    this.#bytes += part.length
    if (this.#bytes > EVENT_MAX_BYTES) throw new Error(`an event is over ${EVENT_MAX_BYTES} bytes`)
    this.#line.push(part.slice())
  }

  #endLine(events: SseEvent[]): void {
    const length = this.#line.reduce((sum, part) => sum + part.length, 0)
    const line = this.#text()
    if (length === 0) return this.#endEvent(events)
    // A comment; some servers send them to keep a connection open. The limit is the event's.
    if (line.startsWith(':')) {
      this.#bytes -= length
      return
    }
    const colon = line.indexOf(':')
    const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
    if (this.#take(field, value)) this.#begun = true
  }

  #text(): string {
    const text = this.#line.map((part) => this.#decoder.decode(part, { stream: true })).join('') + this.#decoder.decode()
    this.#line = []
    return text
  }

  #take(field: string, value: string): boolean {
    if (field === 'event') this.#event.name = value
    else if (field === 'data') {
      this.#event.data += `${this.#hasData ? '\n' : ''}${value}`
      this.#hasData = true
    } else if (field === 'id' && !value.includes('\0')) this.#event.id = value
    else return false
    return true
  }

  #endEvent(events: SseEvent[]): void {
    if (this.#begun) events.push(this.#event)
    this.#event = empty()
    this.#begun = this.#hasData = false
    this.#bytes = 0
  }
}

function empty(): SseEvent {
  return { name: '', id: undefined, data: '' }
}
