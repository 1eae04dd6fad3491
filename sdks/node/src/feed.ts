import type { Clock } from './clock.js'
import { Denylist } from './denylist.js'

/** What is known of the issuer's revocations, and how long ago it was complete. */
export class Feed {
  #denylist = new Denylist()
  #completeAt = -Infinity
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whole milliseconds of the clock that ages are counted by. */
  now(): number {
    return Math.floor(this.#clock.monotonic())
  }

  /** How old the knowledge is, milliseconds; `Infinity` when there never was any. */
  age(): number {
    return Math.max(this.now() - this.#completeAt, 0)
  }

  get denylist(): Denylist {
    return this.#denylist
  }

  /** Everything up to that moment is in the list. */
  completed(at: number): void {
    this.#completeAt = Math.max(this.#completeAt, at)
  }

  /** Puts another list in the place of the one that is there, in one step. */
  replace(denylist: Denylist): void {
    this.#denylist = denylist
  }
}
