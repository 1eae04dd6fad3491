import { Backoff, pause } from './backoff.js'
import type { Clock } from './clock.js'
import { cannotTell, IssuerError, UnknownKey } from './errors.js'
import { ok, SHORT_ANSWER, unreadable } from './http.js'
import type { Issuer } from './issuer.js'
import { KeySet } from './keys.js'
import { TokenCache } from './tokenCache.js'
import { type KnownToken, type Rules, verify } from './verifier.js'

/** For an issuer that does not say how long its keys are good, seconds. */
const UNTOLD_MAX_AGE = 300
/** Keys are asked for once a day at least. */
const LONGEST_MAX_AGE = 86_400

/** A key set with the tokens that were verified by it: other keys, and they are forgotten. */
interface KeyRing {
  keys: KeySet
  cache: TokenCache
}

/** The issuer's keys, fetched again before they are out of date; and when a token names an unknown one, but not for each. */
export class KeyKeeper {
  readonly #issuer: Issuer
  readonly #rules: Rules
  readonly #clock: Clock
  readonly #coolDown: number
  readonly #cachedTokens: number
  #url: URL | undefined
  #ring: KeyRing | undefined
  /** The set in use as it came. */
  #known: { etag: string | null; body: string } | undefined
  /** Whether the last fetch failed. */
  #isFailing = false
  /** The end of the last fetch that brought the keys because somebody wanted them. */
  #wantedAt = -Infinity
  #goodUntil = -Infinity
  #fetching: Promise<void> | undefined
  #isWanted = false
  #wake: (() => void) | undefined

  constructor(issuer: Issuer, rules: Rules, clock: Clock, coolDown: number, cachedTokens: number) {
    this.#issuer = issuer
    this.#rules = rules
    this.#clock = clock
    this.#coolDown = coolDown
    this.#cachedTokens = cachedTokens
  }

  get size(): number {
    return this.#ring?.keys.size ?? 0
  }

  /** Where the keys are. */
  at(url: URL): void {
    this.#url = url
  }

  /** Checks everything but times and revocation. It waits for the issuer when the key is not known, once a cool-down. */
  async verify(token: string): Promise<KnownToken> {
    try {
      return await this.#verify(token)
    } catch (error) {
      if (!(error instanceof UnknownKey)) throw error
    }
    await this.#settle()
    return this.#verify(token)
  }

  async #verify(token: string): Promise<KnownToken> {
    const ring = this.#ring
    if (!ring) throw cannotTell(new Error("the issuer's keys have not been fetched yet"))
    const known = ring.cache.find(token)
    if (known) return known
    const verified = await verify(token, ring.keys, this.#rules)
    ring.cache.insert(token, verified)
    return verified
  }

  /** Asks for the keys because one is not known, where that is due. */
  async #settle(): Promise<void> {
    if (!this.#isFailing) {
      if (this.#now() - this.#wantedAt < this.#coolDown) return
      await this.fetch(true).catch(() => undefined)
    }
    if (this.#isFailing) throw cannotTell(new Error("the token names an unknown key, and the keys cannot be fetched"))
  }

  /** Asks for a fetch as soon as the cool-down allows one: a key was revoked. */
  want(): void {
    this.#isWanted = true
    this.#wake?.()
  }

  /** Fetches the keys where they are out of date; for those who have no background. */
  async refresh(): Promise<void> {
    if (this.#now() >= this.#goodUntil) await this.fetch(true)
  }

  /** Keeps the keys up to date until it is told to stop. */
  async run(log: (error: unknown) => void, closed: AbortSignal): Promise<void> {
    const backoff = new Backoff()
    while (!closed.aborted) {
      const isWanted = await this.#rest(closed)
      if (closed.aborted) return
      try {
        await this.fetch(isWanted)
        backoff.reset()
      } catch (error) {
        if (closed.aborted) return
        log(error)
        const asked = error instanceof IssuerError ? error.retryAfter : undefined
        await pause(Math.max(backoff.next(asked), this.#ring ? this.#coolDown : 0), closed)
      }
    }
  }

  /** Waits until the keys are out of date, or until somebody wants newer ones; whether it was the latter. */
  async #rest(closed: AbortSignal): Promise<boolean> {
    const stop = new AbortController()
    this.#wake = () => stop.abort()
    if (this.#isWanted) stop.abort()
    const seconds = Math.min(Math.max(this.#goodUntil - this.#now(), 0), LONGEST_MAX_AGE)
    await pause(seconds, AbortSignal.any([closed, stop.signal]))
    const isWanted = this.#isWanted
    this.#isWanted = false
    if (isWanted) await pause(Math.max(this.#wantedAt + this.#coolDown - this.#now(), 0), closed)
    return isWanted
  }

  /** Fetches the keys once; no two fetches are under way at once. `wanted`: because of a key id that was not known. */
  fetch(wanted = false): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching.then(
      () => {
        this.#isFailing = false
        if (wanted) this.#wantedAt = this.#now()
      },
      (error: unknown) => {
        this.#isFailing = true
        throw error
      },
    )
  }

  async #fetchOnce(): Promise<void> {
    if (!this.#url) throw new IssuerError('the issuer has not been reached yet')
    const headers: Record<string, string> = { accept: 'application/jwk-set+json, application/json' }
    if (this.#known?.etag) headers['if-none-match'] = this.#known.etag
    const answer = await this.#issuer.http.send(this.#url, { headers }, SHORT_ANSWER)
    if (answer.status !== 304 || !this.#known) {
      await this.takeIn(ok(answer).body, answer.headers.get('etag'))
    }
    this.#goodUntil = this.#now() + maxAge(answer.headers.get('cache-control'))
  }

  /** Puts a new set in use. A set that is broken or has no key of use is none: the last good one stays. */
  async takeIn(body: string, etag: string | null = null): Promise<void> {
    if (this.#known?.body !== body) {
      const keys = await KeySet.read(body).catch((error: unknown) => {
        throw unreadable(error)
      })
      if (keys.size === 0) throw unreadable(new Error('the issuer publishes no key that verifies its tokens'))
      this.#ring = { keys, cache: new TokenCache(this.#cachedTokens) }
    }
    this.#known = { etag, body }
  }

  #now(): number {
    return this.#clock.monotonic() / 1000
  }
}

/** How long an answer is good (RFC 9111 5.2.2.1), seconds, within bounds. */
export function maxAge(cacheControl: string | null): number {
  for (const directive of (cacheControl ?? '').split(',')) {
    const seconds = /^max-age="?([0-9]{1,19})"?$/i.exec(directive.trim())?.[1]
    if (seconds !== undefined) return Math.min(Math.max(Number(seconds), 1), LONGEST_MAX_AGE)
  }
  return UNTOLD_MAX_AGE
}
