import type { KnownToken } from './verifier.js'

/**
 * Tokens that were found right before: the signature is what a check costs. Only right tokens get in, so nobody without a
 * key can push others out. Two halves: when the young one is full, it becomes the old one.
 */
export class TokenCache {
  readonly #half: number
  #young = new Map<string, KnownToken>()
  #old = new Map<string, KnownToken>()

  /** For at most about that many tokens; 0 keeps none. */
  constructor(capacity: number) {
    this.#half = Math.ceil(capacity / 2)
  }

  find(token: string): KnownToken | undefined {
    const young = this.#young.get(token)
    if (young) return young
    const old = this.#old.get(token)
    if (old) this.insert(token, old)
    return old
  }

  insert(token: string, known: KnownToken): void {
    if (this.#half === 0) return
    if (this.#young.size >= this.#half) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(token, known)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
