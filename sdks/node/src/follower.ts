import { Backoff, pause } from './backoff.js'
import { IssuerError } from './errors.js'
import type { Feed } from './feed.js'
import type { Body } from './http.js'
import type { Issuer } from './issuer.js'
import { Interruption, type Listener, type Pace, type Stream } from './listener.js'

/** More than a million entries. */
const SNAPSHOT_MAX_BYTES = 256 * 1024 * 1024

/** Where the feed is. */
export interface Places {
  token: URL
  revocations: URL
  /** Without it, the list is fetched again and again. */
  stream: URL | undefined
}

/** Follows the feed; there is one a validator. */
export class Follower {
  readonly #issuer: Issuer
  readonly #feed: Feed
  readonly #listener: Listener
  readonly #places: Places
  readonly #pace: Pace

  constructor(issuer: Issuer, feed: Feed, listener: Listener, places: Places, pace: Pace) {
    this.#issuer = issuer
    this.#feed = feed
    this.#listener = listener
    this.#places = places
    this.#pace = pace
  }

  /** Follows the feed until it is told to stop. */
  async run(log: (error: unknown) => void, closed: AbortSignal): Promise<void> {
    const backoff = new Backoff()
    while (!closed.aborted) {
      try {
        await this.#goOn(backoff, closed)
      } catch (error) {
        if (closed.aborted) return
        if (!(error instanceof Interruption && error.isUsual)) log(error)
        this.#listener.interrupted(error)
        await pause(pauseAfter(error, backoff), closed)
      }
    }
  }

  /** Does whatever comes next: begins with a list, then reads the stream to its end. */
  async #goOn(backoff: Backoff, closed: AbortSignal): Promise<void> {
    if (this.#listener.cursor === undefined) return this.fetchList()
    const { stream } = this.#places
    if (stream) return this.#follow(stream, this.#listener.cursor, backoff)
    await pause(this.#pace.maxStaleness / 3, closed)
    await this.fetchList()
    backoff.reset()
  }

  /** Fetches all revocations and puts them in the place of those that are known. */
  async fetchList(): Promise<void> {
    const headers = { ...(await this.#authorization()), ...this.#listener.condition }
    const askedAt = this.#feed.now()
    const answer = await this.#issuer.http.send(this.#places.revocations, { headers }, SNAPSHOT_MAX_BYTES)
    this.#letGoOfBearer(answer.status)
    await this.#listener.list(askedAt, answer)
  }

  /** Takes in events until there are no more, or until the clock should be measured again. */
  async #follow(url: URL, cursor: string, backoff: Backoff): Promise<void> {
    const headers = { accept: 'text/event-stream', 'last-event-id': cursor, ...(await this.#authorization()) }
    const askedAt = this.#feed.now()
    const { response, body } = await this.#issuer.http.open(url, { headers })
    try {
      this.#letGoOfBearer(response.status)
      await this.#read(body, this.#listener.opened(askedAt, response.status, response.headers), backoff)
    } finally {
      body.cancel()
    }
  }

  async #read(body: Body, stream: Stream, backoff: Backoff): Promise<void> {
    const silence = this.#pace.silence * 1000
    let silentAt = performance.now() + silence
    while (!this.#listener.isOver(stream)) {
      const piece = await body.next((silentAt - performance.now()) / 1000)
      if (!piece) throw new Interruption('closed', 'the feed has ended')
      const { heard, isFresh } = this.#listener.read(stream, piece)
      if (heard) silentAt = performance.now() + silence
      if (isFresh) backoff.reset()
    }
  }

  async #authorization(): Promise<{ authorization: string }> {
    return { authorization: await this.#issuer.bearer(this.#places.token, this.#feed.now() / 1000) }
  }

  #letGoOfBearer(status: number): void {
    if (status === 401) this.#issuer.forgetBearer()
  }
}

/** Seconds until the next attempt. */
function pauseAfter(error: unknown, backoff: Backoff): number {
  if (error instanceof Interruption && error.kind === 'moved') return backoff.soon()
  return backoff.next(error instanceof IssuerError ? error.retryAfter : undefined)
}
