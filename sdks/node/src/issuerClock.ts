// When what the issuer says was true, by this machine's clock.
//
// A statement that arrives late is as old as it is late, so what counts is the moment that it names, by the issuer's clock. Where
// that stands against the local one is bounded by a request of our own: the issuer looks at its clock after the request was
// sent. Of all that is possible the bound takes what makes statements oldest. All times are whole milliseconds.

/** What the issuer's clock showed when it wrote the answer. */
const CLOCK = 'hallpass-clock'
/** For how long the bound is good. */
const GOOD_FOR_MS = 5 * 60 * 1000
/** By how much a statement may lie ahead of its arrival: what clocks drift apart by meanwhile. */
const DRIFT_MS = 250
/** By how much statements may become younger while one bound holds: they are up to a second old when they are made. */
const SETTLING_MS = 1000
/** How long after a measurement another one is of use where statements are too old. */
const MEASURED_AGAIN_MS = 10 * 1000

/** The bound does not hold for what the issuer says. */
export class ClockWasSet extends Error {
  override name = 'ClockWasSet'
  constructor() {
    super("the issuer's clock seems to have been set")
  }
}

/** The issuer's clock against the local one, as one answer bounds it. */
export class IssuerClock {
  readonly #showed: number
  readonly #askedAt: number
  readonly #answeredAt: number
  /** The most that a statement was late by since. */
  #latestMs = -Infinity

  private constructor(showed: number, askedAt: number, answeredAt: number) {
    this.#showed = showed
    this.#askedAt = askedAt
    this.#answeredAt = answeredAt
  }

  /** What an answer says about the clock, between the moments at which it was asked for and came. */
  static ofAnswer(askedAt: number, answeredAt: number, headers: Pick<Headers, 'get'>): IssuerClock | undefined {
    const showed = wholeNumber(headers.get(CLOCK))
    return showed === undefined ? undefined : new IssuerClock(showed, askedAt, answeredAt)
  }

  /** When something was true that the very answer says; undefined where it cannot have been. */
  momentInAnswer(stated: number): number | undefined {
    return stated <= this.#showed ? this.#earliest(stated) : undefined
  }

  /** When something was true that was heard later. */
  momentOf(stated: number, heardAt: number): number {
    const moment = this.#earliest(stated)
    const lateMs = heardAt - moment
    this.#latestMs = Math.max(this.#latestMs, lateMs)
    if (lateMs < -DRIFT_MS || this.#latestMs - lateMs > SETTLING_MS) throw new ClockWasSet()
    return Math.min(moment, heardAt)
  }

  /** Whether it should be measured again. */
  isOver(now: number): boolean {
    return now - this.#askedAt >= GOOD_FOR_MS
  }

  /** Whether measuring again may help where statements are too old to be of use. */
  mayBeWrong(now: number): boolean {
    return now - this.#answeredAt >= MEASURED_AGAIN_MS
  }

  /** The moment that the issuer's clock shows as `stated`, or an earlier one: it showed a part of a millisecond more. */
  #earliest(stated: number): number {
    return this.#askedAt - (this.#showed - stated + 1)
  }
}

/** A header's number; undefined where it is none. */
export function wholeNumber(text: string | null): number | undefined {
  const number = /^[+-]?[0-9]{1,19}$/.exec(text?.trim() ?? '')?.[0]
  return number === undefined ? undefined : Number(number)
}
