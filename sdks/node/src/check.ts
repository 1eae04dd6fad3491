import type { Claims } from './claims.js'
import type { Clock } from './clock.js'
import { cannotTell, revoked } from './errors.js'
import type { Feed } from './feed.js'
import type { KeyKeeper } from './keyKeeper.js'
import { checkTimes, type KnownToken, type Rules } from './verifier.js'

/** The whole check of a token: signature, claims, times, revocation. */
export class Check {
  readonly #keys: KeyKeeper
  readonly #feed: Feed
  readonly #rules: Rules
  readonly #clock: Clock
  readonly #maxStalenessMs: number
  readonly #allowsStale: boolean

  /** `maxStaleness` in seconds. */
  constructor(keys: KeyKeeper, feed: Feed, rules: Rules, clock: Clock, maxStaleness: number, allowsStale: boolean) {
    this.#keys = keys
    this.#feed = feed
    this.#rules = rules
    this.#clock = clock
    this.#maxStalenessMs = maxStaleness * 1000
    this.#allowsStale = allowsStale
  }

  /** A token whose signature, claims and times are right. Rejects with a `TokenError`. */
  async known(token: string): Promise<KnownToken> {
    const known = await this.#keys.verify(token)
    const wrong = checkTimes(known.claims, this.#rules, BigInt(this.seconds()))
    if (wrong) throw wrong
    return known
  }

  /**
   * Whether it is known that nothing speaks against a token; false when what is known is too old to say. Throws when something
   * does, however old that is.
   */
  stands(claims: Claims, kid: string): boolean {
    // The age before the list: the list may only be younger than the age that is judged.
    const age = this.#feed.age()
    if (this.#feed.denylist.isRevoked(claims, kid)) throw revoked()
    return this.#allowsStale || this.isFresh(age)
  }

  /** Whether knowledge of that age, milliseconds, is young enough. */
  isFresh(age = this.#feed.age()): boolean {
    return age <= this.#maxStalenessMs
  }

  /** The time of day, seconds since 1970, rounded down. */
  seconds(): number {
    return Math.floor(this.#clock.now() / 1000)
  }
}

/** A list that is too old says yes to nothing. */
export const stale = () => cannotTell(new Error("the issuer's revocations have not been heard of for too long"))
