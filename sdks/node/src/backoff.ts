/** The pause before the first new attempt, seconds. */
const FIRST = 0.1
/** No pause is longer: a feed that is back is to be found within seconds. */
const LONGEST = 5
/** No server's `Retry-After` makes us wait longer. */
const LONGEST_ASKED_FOR = 30

/** Pauses between attempts, in seconds: twice as long each time, and shortened by chance, so that not everybody comes at once. */
export class Backoff {
  #attempts = 0

  /** The next pause, at least as long as the other side asked for. */
  next(askedFor = 0): number {
    const full = Math.min(FIRST * 2 ** Math.min(this.#attempts, 16), LONGEST)
    this.#attempts += 1
    return Math.max((full / 2) * (1 + Math.random()), Math.min(askedFor, LONGEST_ASKED_FOR))
  }

  /** A pause of chance that counts as no attempt: nothing went wrong. */
  soon(): number {
    return FIRST * Math.random()
  }

  /** All went well: begin with the short pauses again. */
  reset(): void {
    this.#attempts = 0
  }
}

/** Waits for some seconds, or until it is told to stop. */
export function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, seconds * 1000)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}
