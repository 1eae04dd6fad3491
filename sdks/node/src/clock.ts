/** Where times come from; for tests, another one. */
export interface Clock {
  /** The time of day, milliseconds since 1970. */
  now(): number
  /** Milliseconds since some moment, those included in which the machine slept. Setting the time of day does not move it. */
  monotonic(): number
}

/** From this on, the time of day has gone another way than the processor's clock: it was set, or the machine slept. */
const PARTED_MS = 50

/** The machine's clocks. `performance.now()` stands while the machine sleeps, so `os.uptime()` says how long it did. */
export class MachineClock implements Clock {
  readonly #os = globalThis.process?.getBuiltinModule?.('node:os')
  readonly #awake = this.#uptime() - performance.now()
  #parted = Date.now() - performance.now()
  #slept = 0

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    const [day, running] = [Date.now(), performance.now()]
    if (Math.abs(day - running - this.#parted) > PARTED_MS) {
      this.#parted = day - running
      this.#slept = Math.max(this.#slept, this.#uptime() - running - this.#awake)
    }
    return running + this.#slept
  }

  #uptime(): number {
    return this.#os ? this.#os.uptime() * 1000 : performance.now()
  }
}
