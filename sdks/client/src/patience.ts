// When to try again, and when to stop.

/** The time and chance that a session goes by. Tests hand in their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** At least 0 and less than 1. */
  random(): number;
  /** Runs something after so many milliseconds; answers what prevents it. */
  after(milliseconds: number, run: () => void): () => void;
}

/** The longest that timers can wait: more of it fires at once. */
const TIMER_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(milliseconds, run) {
    const timer = setTimeout(run, Math.min(milliseconds, TIMER_MAX));
    return () => clearTimeout(timer);
  },
};

/** How often one request is sent at most. */
const TRIES_MAX = 5;
/** The first back-off, in milliseconds; it doubles with each try. */
const BACKOFF = 500;

/**
 * How many milliseconds to wait after so many tries: never less than the service says (`said`, seconds), and a bit
 * more by chance, so that those who were sent away together do not come back together. `undefined`: do not try again.
 */
export function pause(clock: Clock, tries: number, said: number | undefined, waitMax: number): number | undefined {
  const least = Math.max((said ?? 0) * 1000, BACKOFF * 2 ** (tries - 1));
  if (tries >= TRIES_MAX || (said ?? 0) > waitMax) return undefined;
  return least + clock.random() * Math.min(least, 1000);
}

/** Waits, unless the signal ends it; then it throws the signal's reason. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return heeding(signal, (wake) => clock.after(milliseconds, wake));
}

/** What a promise brings, unless the signal ends the wait: the promise itself goes on. */
export function waitFor<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  return heeding(signal, (done, failed) => void promise.then(done, failed));
}

function heeding<T>(
  signal: AbortSignal | undefined,
  start: (done: (value: T) => void, failed: (reason: unknown) => void) => (() => void) | void,
): Promise<T> {
  return new Promise<T>((done, failed) => {
    if (signal?.aborted) return failed(signal.reason);
    const stop = () => (cancel?.(), failed(signal?.reason));
    const over = () => signal?.removeEventListener("abort", stop);
    signal?.addEventListener("abort", stop, { once: true });
    const cancel = start(
      (value) => (over(), done(value)),
      (reason: unknown) => (over(), failed(reason)),
    );
  });
}
