// What is asked of hallpass, and how patiently. How a refresh token travels is known here alone.

import { errorOf, HallpassError } from "./errors.js";
import { PATHS } from "./openapi.js";
import type { Login, LoginRequest, LogoutScope, RegisterRequest, Registered, RegistrationTaken, TokenPair, User } from "./openapi.js";
import { pause, sleep } from "./patience.js";
import type { Clock } from "./patience.js";

/** What is kept of a login. */
export interface Kept {
  user: User;
  accessToken: string;
  refreshToken: string;
  /** By this device's clock, milliseconds since the Unix epoch. */
  expiresAt: number;
  /** How long access tokens live, in milliseconds. */
  lifetime: number;
}

/** One request may take so many milliseconds: a connection that died in its sleep answers nothing. */
const ANSWER_MAX = 20_000;
/** The same of a refresh, which is told the same again for the service's grace period only: 30 seconds. */
const REFRESH_MAX = 10_000;

/** Nothing was decided, and the service says so. */
const isUndecided = ({ status, code }: HallpassError) => status === 503 && code !== "revocation_pending";

/** No verdict; what can be sent twice without harm is sent again. */
const isNoVerdict = (error: HallpassError) =>
  isUndecided(error) || error.status === undefined || [408, 429, 500, 502, 504].includes(error.status);

interface Answered<T> {
  content: T;
  /** When it was asked for: an answer may have been read hours later. Milliseconds since the Unix epoch. */
  sentAt: number;
}

type Send = (url: string, options: RequestInit) => Promise<Response>;

export class Service {
  constructor(
    private readonly url: string,
    private readonly send: Send,
    private readonly clock: Clock,
    private readonly waitMax: number,
  ) {}

  async register(account: RegisterRequest): Promise<Registered | RegistrationTaken> {
    return (await this.ask<Registered | RegistrationTaken>(PATHS.register, account, isUndecided)).content;
  }

  async login(who: LoginRequest): Promise<Kept> {
    const login = await this.ask<Login>(PATHS.login, who, isUndecided);
    return kept(login, login.content.user);
  }

  /** The next tokens. The same token may be redeemed again where an answer was lost. */
  async refresh({ user, refreshToken }: Kept): Promise<Kept> {
    return kept(await this.ask<TokenPair>(PATHS.refreshToken, { refreshToken }, isNoVerdict), user);
  }

  /** Ends the session there. One that has ended already is no error. */
  async logout({ accessToken, refreshToken }: Kept, scope: LogoutScope): Promise<void> {
    const path = `${PATHS.logout}?scope=${scope}`;
    const headers = { Authorization: `Bearer ${accessToken}` };
    await this.ask(path, { refreshToken }, isNoVerdict, { headers, keepalive: true }).catch((error: HallpassError) => {
      if (!error.isVerdict && error.code !== "revocation_pending") throw error;
    });
  }

  private async ask<T>(path: string, body: object, again: (error: HallpassError) => boolean, options: RequestInit = {}): Promise<Answered<T>> {
    for (let tries = 1; ; tries++) {
      const sentAt = this.clock.now();
      const answer = await this.once<T>(path, body, options);
      if (!(answer instanceof HallpassError)) return { content: answer, sentAt };
      const wait = again(answer) ? pause(this.clock, tries, answer.retryAfter, this.waitMax) : undefined;
      if (wait === undefined) throw answer;
      await sleep(this.clock, wait);
    }
  }

  private async once<T>(path: string, body: object, options: RequestInit): Promise<T | HallpassError> {
    const late = new AbortController();
    const cancel = onceLate(this.clock, path === PATHS.refreshToken ? REFRESH_MAX : ANSWER_MAX, () => late.abort());
    try {
      const answer = await this.send(this.url + path, {
        ...options,
        method: "POST",
        headers: { "Content-Type": "application/json", ...options.headers },
        body: JSON.stringify(body),
        signal: late.signal,
        credentials: "omit",
        cache: "no-store",
        redirect: "error", // 307 would carry the body to wherever it points
      });
      return answer.ok ? ((await answer.json()) as T) : await errorOf(answer, this.clock.now());
    } catch {
      // What is thrown here may quote the request: it goes no further.
      return new HallpassError("unreachable", "hallpass does not answer.");
    } finally {
      cancel();
    }
  }
}

function kept({ content, sentAt }: Answered<TokenPair | Login>, user: User): Kept {
  const { accessToken, refreshToken, expiresIn } = content;
  const lifetime = expiresIn * 1000;
  return { user, accessToken, refreshToken, lifetime, expiresAt: sentAt + lifetime };
}

/**
 * Runs something once so many milliseconds have passed; answers what prevents it. A device that slept starts over: the answer may
 * have come before, and wait to be read. A refresh that is given up then is told nothing any more, hours later.
 */
function onceLate(clock: Clock, milliseconds: number, run: () => void): () => void {
  const started = clock.now();
  let cancel = clock.after(milliseconds, () => {
    const hasSlept = clock.now() - started > 2 * milliseconds;
    if (hasSlept) cancel = onceLate(clock, milliseconds, run);
    else run();
  });
  return () => cancel();
}
