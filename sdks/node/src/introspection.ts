import { IssuerError } from './errors.js'
import { unreadable } from './http.js'
import type { Issuer } from './issuer.js'

/** How many tokens are asked about at once: an issuer in trouble is not to be flooded by its clients. */
const AT_ONCE = 64

/** Asks the issuer about one token (RFC 7662). */
export class Introspection {
  readonly #issuer: Issuer
  /** The longest that a caller waits for its turn, seconds. */
  readonly #patience: number
  #free = AT_ONCE
  readonly #queue = new Set<() => void>()

  constructor(issuer: Issuer, patience: number) {
    this.#issuer = issuer
    this.#patience = patience
  }

  /** Whether the issuer says that the token stands. */
  async isActive(endpoint: URL, token: string): Promise<boolean> {
    await this.#turn()
    try {
      const { active } = await this.#issuer.post(endpoint, { token, token_type_hint: 'access_token' })
      if (typeof active === 'boolean') return active
      throw unreadable('it does not say whether the token is active')
    } finally {
      this.#release()
    }
  }

  #turn(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const take = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#queue.delete(take)
        reject(new IssuerError('the issuer did not answer in time'))
      }, this.#patience * 1000)
      this.#queue.add(take)
    })
  }

  /** Hands the place to whoever has waited longest. */
  #release(): void {
    const [next] = this.#queue
    if (!next) {
      this.#free += 1
      return
    }
    this.#queue.delete(next)
    next()
  }
}
