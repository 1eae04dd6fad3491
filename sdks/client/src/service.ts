// What is asked of hallpass, and how patiently. How a refresh token travels is known here alone: in the body, or in a cookie.

import { errorOf, HallpassError } from "./errors.js";
import { PATHS } from "./openapi.js";
import type { Login, LoginRequest, LogoutScope, RegisterRequest, Registered, RegistrationTaken, TokenPair, User } from "./openapi.js";
import { pause, sleep } from "./patience.js";
import type { Clock } from "./patience.js";

/** What is kept of a login. */
export interface Kept {
  user: User;
  accessToken: string;
  /** Empty where a cookie has it. */
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
    private readonly inCookie: boolean,
  ) {}

  async register(account: RegisterRequest): Promise<Registered | RegistrationTaken> {
    return (await this.ask<Registered | RegistrationTaken>(PATHS.register, account, isUndecided)).content;
  }

  async login(who: LoginRequest): Promise<Kept> {
    const login = await this.ask<Login>(PATHS.login, who, isUndecided, this.carrying());
    return this.kept(login, login.content.user);
  }

  /** The next tokens; without `before`, of whoever the cookie is. The same token may be redeemed again where an answer was lost. */
  async refresh(before?: Kept): Promise<Kept> {
    const pair = await this.ask<TokenPair>(PATHS.refreshToken, inBody(before), isNoVerdict, this.carrying());
    return this.kept(pair, await this.owner(pair.content.accessToken, before?.user));
  }

  /** Ends the session there. One that has ended already is no error. */
  async logout(kept: Kept | undefined, scope: LogoutScope): Promise<void> {
    const options = { ...this.carrying(kept && bearer(kept.accessToken)), keepalive: true };
    await this.ask(`${PATHS.logout}?scope=${scope}`, inBody(kept), isNoVerdict, options).catch((error: HallpassError) => {
      if (!error.isVerdict && error.code !== "revocation_pending") throw error;
    });
  }

  /** A request that a refresh token comes or goes with. */
  private carrying(headers: Record<string, string> = {}): RequestInit {
    return this.inCookie ? { credentials: "include", headers: { ...headers, "Hallpass-Mode": "cookie" } } : { headers };
  }

  /** Whose token it is: another app of the site may have put somebody else's into the cookie. */
  private async owner(token: string, known: User | undefined): Promise<User> {
    if (known && (!this.inCookie || subject(token) === String(known.id))) return known;
    return (await this.ask<{ user: User }>(PATHS.authMePost, undefined, isNoVerdict, { headers: bearer(token) })).content.user;
  }

  private kept({ content, sentAt }: Answered<TokenPair | Login>, user: User): Kept {
    const { accessToken, expiresIn } = content;
    const lifetime = expiresIn * 1000;
    // A service that knows no cookies answers one: nobody is to keep it.
    const refreshToken = this.inCookie ? "" : content.refreshToken;
    return { user, accessToken, refreshToken, lifetime, expiresAt: sentAt + lifetime };
  }

  private async ask<T>(
    path: string,
    body: object | undefined,
    again: (error: HallpassError) => boolean,
    options: RequestInit = {},
  ): Promise<Answered<T>> {
    for (let tries = 1; ; tries++) {
      const sentAt = this.clock.now();
      const answer = await this.once<T>(path, body, options);
      if (!(answer instanceof HallpassError)) return { content: answer, sentAt };
      const wait = again(answer) ? pause(this.clock, tries, answer.retryAfter, this.waitMax) : undefined;
      if (wait === undefined) throw answer;
      await sleep(this.clock, wait);
    }
  }

  private async once<T>(path: string, body: object | undefined, options: RequestInit): Promise<T | HallpassError> {
    const late = new AbortController();
    const cancel = onceLate(this.clock, path === PATHS.refreshToken ? REFRESH_MAX : ANSWER_MAX, () => late.abort());
    try {
      const answer = await this.send(this.url + path, {
        credentials: "omit",
        ...options,
        method: "POST",
        headers: { "Content-Type": "application/json", ...options.headers },
        body: body ? JSON.stringify(body) : null,
        signal: late.signal,
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

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** A refresh token that a script has; where an app has turned to cookies, it goes there for the last time. */
const inBody = (kept: Kept | undefined) => (kept?.refreshToken ? { refreshToken: kept.refreshToken } : undefined);

/** The `sub` of an access token, as far as it can be read. Nothing is allowed for it. */
function subject(token: string): unknown {
  try {
    return JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/"))).sub;
  } catch {
    return undefined;
  }
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
