import { Backoff, pause } from './backoff.js'
import { Check, stale } from './check.js'
import { type Claims, readClaims } from './claims.js'
import { type Clock, MachineClock } from './clock.js'
import { cannotTell, invalid, IssuerError, malformed, revoked, SettingsError } from './errors.js'
import { Feed } from './feed.js'
import { Follower } from './follower.js'
import { Http } from './http.js'
import { Introspection } from './introspection.js'
import { type Endpoints, Issuer, MetadataError } from './issuer.js'
import { KeyKeeper } from './keyKeeper.js'
import { Listener, type Pace } from './listener.js'
import { permit, type Requirements } from './permission.js'
import { isOfType, type Rules, type Verified, verifiedOf } from './verifier.js'

/** Settings of a {@link Validator}. Times are in seconds. */
export interface ValidatorOptions {
  /** hallpass' public URL, to the letter. */
  issuer: string
  /** Whom tokens are for, to the letter; of several, one is enough. */
  audience: string | readonly string[]
  /** A client with the scope `revocations:read`. Without one, only `onStale: 'allow'` is of use. */
  clientId?: string
  clientSecret?: string
  /**
   * How old the knowledge of revocations may be; 2 unless set. It counts from when the issuer had looked, and not from when
   * that arrives. A heartbeat comes every second, so less than two makes the knowledge stale now and then.
   */
  maxStaleness?: number
  /**
   * What happens to a token that is not known to be revoked while the knowledge is older than that.
   *
   * - `reject` (unless set): 503.
   * - `introspect`: the issuer is asked about each token (RFC 7662); 503 if it does not answer.
   * - `allow`: it is accepted. Tokens that were revoked meanwhile pass until they expire.
   */
  onStale?: 'reject' | 'introspect' | 'allow'
  /**
   * How revocations are heard of.
   *
   * - `stream` (unless set): a stream in the background, within milliseconds.
   * - `poll`: the list is asked for when a token comes and the knowledge is older than `maxStaleness`. For places where
   *   nothing lives between two requests.
   * - `introspect`: the issuer is asked about each token.
   */
  feed?: 'stream' | 'poll' | 'introspect'
  /** The `typ` that tokens must have; `at+jwt` unless set. */
  typ?: 'at+jwt' | 'JWT'
  /** By how much the issuer's clock and this machine's may differ, whole seconds; 5 unless set. */
  leeway?: number
  /** How long the issuer may take to answer; 2 unless set. */
  requestTimeout?: number
  /** After how long without a word the stream is opened anew; 3 unless set. */
  silenceTimeout?: number
  /** The least time between two fetches of the keys that tokens with unknown key ids cause; 10 unless set. */
  keyCoolDown?: number
  /** For about how many tokens to remember that their signature is right; 10,000 unless set. */
  tokenCache?: number
  /** Where the issuer is reached, if not at its own URL. */
  reachAt?: string
  /** Other origins that the issuer's metadata may name endpoints at. */
  trustOrigins?: readonly string[]
  /** Allows an issuer without TLS that is not on this machine: whoever is on the way can put keys in place of its own. */
  dangerAllowHttp?: boolean
  /** Does not wait for the issuer: until it is reached, tokens are answered 503. */
  lazy?: boolean
  /** Hears of what keeps the keys or the revocations from being followed; a warning on the console unless set. */
  onProblem?: (problem: Error) => void
  /** Another `fetch`: with an own certificate authority, say. */
  fetch?: typeof fetch
  /** For tests. */
  clock?: Clock
}

/** How a {@link Validator} is doing: for health checks and metrics. */
export interface Status {
  /** How many keys are in use. With none, no token can be checked. */
  keys: number
  /** How many revocations are known. */
  revocations: number
  /** How old the knowledge of revocations is, seconds; undefined when there never was any. */
  feedAge: number | undefined
  /** Whether that is young enough. */
  isFresh: boolean
}

/** The hook of express-jwt: a token as jsonwebtoken takes it apart. */
export interface ForeignToken {
  header: object
  payload: unknown
}

/** Checks access tokens by keys and revocations that it fetches from the issuer. Make one and share it. */
export class Validator {
  readonly #options: ValidatorOptions
  readonly #clock: Clock
  readonly #rules: Rules
  readonly #pace: Pace
  readonly #closed = new AbortController()
  readonly #issuer: Issuer
  readonly #keys: KeyKeeper
  readonly #feed: Feed
  readonly #check: Check
  readonly #introspection: Introspection
  #endpoints: Endpoints | undefined
  #follower: Follower | undefined
  #background: Promise<unknown> = Promise.resolve()
  #refreshing: Promise<void> | undefined
  /** Until then the issuer is left alone, by the clock that ages are counted by. */
  #quietUntil = -Infinity
  readonly #backoff = new Backoff()

  /** @throws {SettingsError} when the settings do not fit together */
  constructor(options: ValidatorOptions) {
    this.#options = options
    this.#clock = options.clock ?? new MachineClock()
    this.#rules = rulesOf(options)
    const { maxStaleness = 2, requestTimeout = 2, silenceTimeout = 3, keyCoolDown = 10, tokenCache = 10_000 } = options
    this.#pace = { leeway: this.#rules.leeway, silence: silenceTimeout, maxStaleness }
    const http = new Http(options.fetch ?? fetch, requestTimeout, this.#closed.signal)
    this.#issuer = new Issuer(options, http)
    this.#keys = new KeyKeeper(this.#issuer, this.#rules, this.#clock, keyCoolDown, tokenCache)
    this.#feed = new Feed(this.#clock)
    const allowsStale = this.#onStale === 'allow'
    this.#check = new Check(this.#keys, this.#feed, this.#rules, this.#clock, maxStaleness, allowsStale)
    this.#introspection = new Introspection(this.#issuer, requestTimeout)
    if (!this.#issuer.hasCredentials && (this.#onStale !== 'allow' || options.feed === 'introspect')) {
      throw new SettingsError("clientId and clientSecret are needed, unless onStale is 'allow'")
    }
  }

  /** Begins to follow the issuer; once. Waits until keys and revocations are there, unless `lazy` is set. */
  async start(): Promise<this> {
    const isAwaited = this.#options.lazy !== true
    if (isAwaited) {
      await this.#discover()
      await this.#keys.fetch()
      await this.#follower?.fetchList()
    }
    if (this.#hasBackground) this.#background = this.#follow(isAwaited)
    return this
  }

  /**
   * Checks a token: signature, claims, revocation, and whether it is enough. Machines' tokens are refused unless `machines`
   * lets them in. Rejects with a {@link TokenError}.
   */
  async verify(token: string, needs: Requirements = {}): Promise<Verified> {
    await this.#refresh()
    const known = await this.#check.known(token)
    await this.#standing(known.claims, known.kid, token)
    const verified = verifiedOf(known)
    permit(known.claims, verified.payload['auth_time'], needs, this.#check.seconds())
    return verified
  }

  /**
   * Whether a token that somebody else has verified was revoked: the hook of express-jwt. Rejects with a
   * {@link TokenError}: 503 when that cannot be told, 401 when it is no access token.
   */
  readonly isRevoked = async (_request: unknown, token: ForeignToken | undefined): Promise<boolean> => {
    const { claims, kid } = this.#foreign(token)
    await this.#refresh()
    try {
      await this.#standing(claims, kid)
      return false
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'token_revoked') return true
      throw error
    }
  }

  /** How it is doing. */
  status(): Status {
    const age = this.#feed.age()
    const feedAge = Number.isFinite(age) ? age / 1000 : undefined
    return { keys: this.#keys.size, revocations: this.#feed.denylist.size, feedAge, isFresh: this.#check.isFresh(age) }
  }

  /** Ends the fetching, which keeps the process alive. From now on tokens are answered 503. */
  async close(): Promise<void> {
    this.#closed.abort()
    await this.#background
  }

  get #onStale(): 'reject' | 'introspect' | 'allow' {
    return this.#options.onStale ?? 'reject'
  }

  get #hasBackground(): boolean {
    return (this.#options.feed ?? 'stream') === 'stream'
  }

  async #standing(claims: Claims, kid: string, token?: string): Promise<void> {
    if (this.#options.feed === 'introspect') return this.#ask(token)
    const stands = this.#check.stands(claims, kid)
    if (this.#closed.signal.aborted) throw cannotTell(new Error('the validator was closed'))
    if (stands) return
    if (this.#onStale === 'introspect') return this.#ask(token)
    throw stale()
  }

  async #ask(token: string | undefined): Promise<void> {
    const endpoint = this.#endpoints?.introspection
    if (token === undefined || !endpoint) throw cannotTell(new Error('the issuer cannot be asked about the token'))
    const isActive = await this.#introspection.isActive(endpoint, token).catch((error: unknown) => {
      throw cannotTell(error)
    })
    if (!isActive) throw revoked()
  }

  /** Where nothing lives between two requests, all is fetched when it is needed, once for all who need it at the same time. */
  async #refresh(): Promise<void> {
    if (this.#hasBackground || this.#closed.signal.aborted) return
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  /** An issuer that does not answer is not asked again for each token. */
  async #refreshOnce(): Promise<void> {
    if (this.#clock.monotonic() < this.#quietUntil) return
    try {
      await this.#fetchWhatIsOld()
      this.#backoff.reset()
    } catch (error) {
      const asked = error instanceof IssuerError ? error.retryAfter : undefined
      this.#quietUntil = this.#clock.monotonic() + this.#backoff.next(asked) * 1000
      this.#log(error)
    }
  }

  async #fetchWhatIsOld(): Promise<void> {
    if (!this.#endpoints) await this.#discover()
    const list = this.#check.isFresh() ? undefined : this.#follower?.fetchList()
    for (const outcome of await Promise.allSettled([this.#keys.refresh(), list])) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
  }

  /** Asks where everything is. */
  async #discover(): Promise<void> {
    this.#layOut(await this.#issuer.discover())
  }

  #layOut(endpoints: Endpoints): void {
    const isAsked = this.#onStale === 'introspect' || this.#options.feed === 'introspect'
    if (isAsked && !endpoints.introspection) throw new MetadataError('the issuer has no introspection_endpoint')
    this.#follower = this.#followerOf(endpoints)
    this.#keys.at(endpoints.jwks)
    this.#endpoints = endpoints
  }

  #followerOf({ token, revocations, stream }: Endpoints): Follower | undefined {
    if (!this.#issuer.hasCredentials || this.#options.feed === 'introspect') return undefined
    if (!token || !revocations) {
      if (this.#onStale !== 'reject') return undefined
      throw new MetadataError(`the issuer has no ${token ? 'hallpass_revocations_endpoint' : 'token_endpoint'}`)
    }
    const places = { token, revocations, stream: this.#hasBackground ? stream : undefined }
    const listener = new Listener(this.#feed, this.#keys, this.#clock, this.#pace, places.stream !== undefined)
    return new Follower(this.#issuer, this.#feed, listener, places, this.#pace)
  }

  async #follow(isThere: boolean): Promise<void> {
    const closed = this.#closed.signal
    const backoff = new Backoff()
    while (!isThere && !closed.aborted) {
      try {
        await this.#discover()
        isThere = true
      } catch (error) {
        if (closed.aborted) return
        this.#log(error)
        await pause(backoff.next(), closed)
      }
    }
    await Promise.all([this.#keys.run(this.#log, closed), this.#follower?.run(this.#log, closed)])
  }

  readonly #log = (error: unknown): void => {
    const problem = error instanceof Error ? error : new Error(String(error))
    const tell = this.#options.onProblem ?? ((it: Error) => console.warn(`hallpass-verify: ${reasonsOf(it)}`))
    tell(problem)
  }

  #foreign(token: ForeignToken | undefined): { claims: Claims; kid: string } {
    const { kid, typ } = (token?.header ?? {}) as { kid?: unknown; typ?: unknown }
    if (typeof kid !== 'string') throw malformed()
    if (!isOfType(typeof typ === 'string' ? typ : undefined, this.#rules.typ)) throw invalid('the token is not an access token')
    try {
      return { claims: readClaims(JSON.stringify(token?.payload)), kid }
    } catch {
      throw malformed()
    }
  }
}

function rulesOf({ issuer, audience, typ = 'at+jwt', leeway = 5 }: ValidatorOptions): Rules {
  const audiences = [audience].flat()
  if (audiences.length === 0) throw new SettingsError('an audience is needed')
  return { issuer, audiences, typ, leeway: BigInt(Math.floor(leeway)) }
}

function reasonsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasonsOf(error.cause)}`
}

/**
 * A validator that follows its issuer from now on. Rejects when a part of what is needed cannot be had, unless `lazy` is set.
 *
 * @throws {SettingsError} when the settings do not fit together
 */
export async function createValidator(options: ValidatorOptions): Promise<Validator> {
  const validator = new Validator(options)
  try {
    return await validator.start()
  } catch (error) {
    await validator.close()
    throw error
  }
}
