import { IssuerError } from './errors.js'

/** What an answer may take unless it is a list of revocations, bytes. */
export const SHORT_ANSWER = 1024 * 1024

/** An answer, read to its end. */
export interface Answer {
  status: number
  headers: Headers
  body: string
}

/** Requests to the issuer, bounded in time and in length. */
export class Http {
  readonly #fetch: typeof fetch
  /** How long to wait for an answer, and for each next piece of it, seconds. */
  readonly #timeout: number
  readonly #closed: AbortSignal

  constructor(fetcher: typeof fetch, timeout: number, closed: AbortSignal) {
    this.#fetch = fetcher
    this.#timeout = timeout
    this.#closed = closed
  }

  /** Sends a request and reads the answer, at most `limit` bytes of it. */
  async send(url: URL, init: RequestInit, limit: number): Promise<Answer> {
    const { response, body } = await this.open(url, init)
    try {
      const text = await readAll(body, this.#timeout, limit)
      return { status: response.status, headers: response.headers, body: text }
    } finally {
      body.cancel()
    }
  }

  /** Sends a request and waits for the head of the answer. No redirect is followed: it could lead secrets elsewhere. */
  async open(url: URL, init: RequestInit): Promise<{ response: Response; body: Body }> {
    const stop = new AbortController()
    const onClosed = () => stop.abort()
    this.#closed.addEventListener('abort', onClosed)
    if (this.#closed.aborted) stop.abort()
    const timer = setTimeout(onClosed, this.#timeout * 1000)
    try {
      const response = await this.#fetch(url, { ...init, redirect: 'manual', signal: stop.signal, cache: 'no-store' })
      const done = () => this.#closed.removeEventListener('abort', onClosed)
      return { response, body: new Body(response, stop, done) }
    } catch (error) {
      this.#closed.removeEventListener('abort', onClosed)
      throw stop.signal.aborted ? timedOut() : new IssuerError('the issuer cannot be reached', { cause: error })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** What comes behind the head of an answer. */
export class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  readonly #stop: AbortController
  readonly #done: () => void

  constructor(response: Response, stop: AbortController, done: () => void) {
    this.#reader = response.body?.getReader()
    this.#stop = stop
    this.#done = done
  }

  /** The next bytes, waited for no longer than that many seconds; undefined at the end. */
  async next(timeout: number): Promise<Uint8Array | undefined> {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      this.#stop.abort()
    }, timeout * 1000)
    try {
      return (await this.#reader?.read())?.value
    } catch (error) {
      throw isLate ? timedOut() : new IssuerError('the connection to the issuer broke', { cause: error })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Closes the connection, unless the answer was read to its end. */
  cancel(): void {
    this.#done()
    this.#reader?.cancel().catch(() => undefined)
  }
}

async function readAll(body: Body, timeout: number, limit: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let [bytes, text] = [0, '']
  for (let piece = await body.next(timeout); piece; piece = await body.next(timeout)) {
    bytes += piece.length
    if (bytes > limit) throw new IssuerError("the issuer's answer is too long")
    text += readable(() => decoder.decode(piece, { stream: true }))
  }
  return text + readable(() => decoder.decode())
}

/** Answers what `read` does; what it throws says that the answer is not what was asked for. */
export function readable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(error)
  }
}

export const unreadable = (cause: unknown) => new IssuerError("the issuer's answer cannot be read", { cause })
const timedOut = () => new IssuerError('the issuer did not answer in time')

/** The answer, if its status is 200. */
export function ok(answer: Answer): Answer {
  if (answer.status === 200) return answer
  throw refusal(answer.status, answer.headers)
}

/** An answer of a status that is of no use. */
export function refusal(status: number, headers: Headers): IssuerError {
  const wait = headers.get('retry-after')?.trim() ?? ''
  const retryAfter = /^[0-9]+$/.test(wait) ? Number(wait) : undefined
  return new IssuerError(`the issuer answered ${status}`, { status, retryAfter })
}
