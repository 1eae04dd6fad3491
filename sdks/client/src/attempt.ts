// One request to an API, with all that may become of it.

import { problemOf, retryAfter } from "./errors.js";
import type { Problem } from "./openapi.js";
import { pause, sleep } from "./patience.js";
import type { Clock } from "./patience.js";
import type { Session } from "./session.js";

/** An answer, as far as it says whether to send again. */
export interface Outcome {
  status: number;
  /** Its `Retry-After`, in seconds. */
  retryAfter: number | undefined;
  problem: Partial<Problem> | undefined;
}

interface Asked {
  url: string;
  method: string;
  signal: AbortSignal | undefined;
}

/** Codes of a 401 by which another access token may be let in. Others, and those of other services, are for the app. */
const RENEWABLE: ReadonlySet<string | undefined> = new Set(["token_expired", "token_revoked"]);
/** Methods that change nothing (RFC 9110 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export class Attempt {
  #token: string | undefined;
  #userId: number | undefined;
  #hasRenewed = false;
  #tries = 0;

  constructor(
    readonly session: Session,
    readonly asked: Asked,
    readonly clock: Clock,
    readonly waitMax: number,
  ) {}

  /** The value for `Authorization`; none for origins that were not named, and where nobody is logged in. */
  async authorization(): Promise<string | undefined> {
    this.#tries++;
    const access = this.session.isNamed(this.asked.url) ? await this.session.access(this.asked.signal) : undefined;
    // What one person asked for is never sent in another's name.
    if (this.#tries > 1 && access?.userId !== this.#userId) return this.#token && `Bearer ${this.#token}`;
    [this.#token, this.#userId] = [access?.token, access?.userId];
    return this.#token && `Bearer ${this.#token}`;
  }

  /** Whether to send again, once that is due. */
  async again({ status, retryAfter, problem }: Outcome): Promise<boolean> {
    if (!this.session.isNamed(this.asked.url)) return false;
    if (status === 401) return this.#renewed(problem?.code);
    if (status !== 429 && !(status === 503 && this.#isUndecided(problem))) return false;
    // No Retry-After, no invitation: the answer is the app's to judge.
    const wait = retryAfter === undefined ? undefined : pause(this.clock, this.#tries, retryAfter, this.waitMax);
    if (wait === undefined) return false;
    await sleep(this.clock, wait, this.asked.signal);
    return true;
  }

  async #renewed(code: string | undefined): Promise<boolean> {
    if (!this.#token || this.#hasRenewed || !RENEWABLE.has(code)) return false;
    this.#hasRenewed = true;
    await this.session.renew(this.#token, this.asked.signal);
    const access = await this.session.access(this.asked.signal);
    return access?.userId === this.#userId && access?.token !== this.#token;
  }

  /** A 503 of those who check tokens means that nothing was done; of any other, only what changes nothing may be sent again. */
  #isUndecided(problem: Partial<Problem> | undefined): boolean {
    if (problem?.code === "revocation_pending") return false;
    return SAFE.has(this.asked.method) || Boolean(problem?.type?.startsWith("urn:hallpass:error:"));
  }
}

/** Sends a request for a session. */
export async function send(session: Session, fetch: typeof globalThis.fetch, request: Request): Promise<Response> {
  // Whoever sets the header knows better.
  if (!session.isNamed(request.url) || request.headers.has("Authorization")) return fetch(request);
  const attempt = session.attempt(request.url, request.method, request.signal);
  for (;;) {
    const authorization = await attempt.authorization();
    const copy = request.clone();
    if (authorization) copy.headers.set("Authorization", authorization);
    const answer = await fetch(copy);
    const outcome = {
      status: answer.status,
      retryAfter: retryAfter(answer, attempt.clock.now()),
      problem: [401, 503].includes(answer.status) ? await problemOf(answer) : undefined,
    };
    if (!(await attempt.again(outcome))) return answer;
  }
}
