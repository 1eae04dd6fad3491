// A login that lasts.

import { Attempt, send } from "./attempt.js";
import { HallpassError } from "./errors.js";
import type { Code } from "./errors.js";
import type { LoginRequest, RegisterRequest, Registered, RegistrationTaken, User } from "./openapi.js";
import { systemClock, waitFor } from "./patience.js";
import type { Clock } from "./patience.js";
import { Service } from "./service.js";
import type { Kept } from "./service.js";
import { browserStore, memoryStore } from "./storage.js";
import type { Store } from "./storage.js";
import { channel, exclusively, isVisible, onWake } from "./tabs.js";
import type { Channel, Exclusively, Word } from "./tabs.js";

export interface Options {
  /** Origins beside hallpass' own that are sent the access token: those of your APIs, the page's own too if it is one. */
  origins?: readonly string[];
  /**
   * Where the refresh token is: with the page (`token`), or in a cookie that no script can read, which takes that the page and hallpass
   * are on one site.
   */
  mode?: "token" | "cookie";
  /**
   * Where the session outlives the page. Unless set: in memory, so that a reload ends it; `browserStore()` for a session whose refresh
   * token is in a cookie, since what is left to be kept is no secret that lasts.
   */
  store?: Store;
  /** Tells this session from others of this origin. */
  name?: string;
  /** The longest wait that a service may ask for (`Retry-After`), in seconds: 30 unless set. Beyond it, what it said is the answer. */
  waitMax?: number;
  /** What sends requests, instead of the global one. */
  fetch?: typeof fetch;
  /** Time and chance; for tests. */
  clock?: Clock;
}

/** Why a session ended: the code of hallpass' verdict, or `logged_out` where somebody wanted it, in whatever tab. */
export type EndReason = Code | "logged_out";

/** What an app shows. A new object with each change. */
export interface State {
  /** `restoring` until the store has answered, and where only hallpass can know, until that has. */
  readonly status: "restoring" | "logged_in" | "logged_out";
  readonly user: User | undefined;
  /** Why the last session ended, until the next login; after a reload as well, where the store outlives it. */
  readonly ended: EndReason | undefined;
}

interface Events {
  /** A session is over. */
  ended: (reason: EndReason) => void;
  /** `state` is another one. */
  changed: (state: State) => void;
}

/** What the store has: a login, or why there is none, which is `null` where nobody was logged in. Without either, nothing is known. */
type Saved = Kept | { ended?: EndReason | null };

/** Part of a token's lifetime that is left when it is renewed; a minute at most, in milliseconds. */
const AHEAD = 0.25;
const AHEAD_MAX = 60_000;
/** How long to leave a service alone that could not be asked ahead of time, in milliseconds. */
const AHEAD_AGAIN = 15_000;

/** A session at the hallpass of that URL; restores what its store has. */
export const createSession = (url: string, options: Options = {}): Session => new Session(url, options);

export class Session {
  /** Resolves when the store has been read. */
  readonly ready: Promise<void>;
  #state: State = { status: "restoring", user: undefined, ended: undefined };
  #kept: Kept | undefined;
  #renewing: Promise<void> | undefined;
  #cancelAhead = () => {};
  readonly #listeners = { ended: new Set<Events["ended"]>(), changed: new Set<Events["changed"]>() };
  readonly #origins: ReadonlySet<string>;
  #store: Store;
  #turns: Promise<unknown> = Promise.resolve();
  readonly #name: string;
  readonly #inCookie: boolean;
  readonly #clock: Clock;
  readonly #waitMax: number;
  readonly #send: typeof fetch;
  readonly #service: Service;
  readonly #exclusively: Exclusively;
  readonly #channel: Channel;
  readonly #stopWatching: (() => void)[];

  constructor(url: string, options: Options) {
    const base = new URL(url).href.replace(/\/$/, "");
    this.#origins = new Set([new URL(url).origin, ...(options.origins ?? [])].map(checkedOrigin));
    this.#inCookie = options.mode === "cookie";
    this.#store = options.store ?? (this.#inCookie && globalThis.indexedDB ? browserStore() : memoryStore());
    // With the URL: a page that moves to another hallpass must not send this one's token there.
    this.#name = `${options.name ?? "hallpass"} ${base}`;
    this.#clock = options.clock ?? systemClock;
    this.#waitMax = options.waitMax ?? 30;
    this.#send = options.fetch ?? ((...request) => globalThis.fetch(...request));
    this.#service = new Service(base, this.#send, this.#clock, this.#waitMax, this.#inCookie);
    // There is one cookie, whatever each tab keeps.
    this.#exclusively = exclusively(this.#name, this.#store.shared || this.#inCookie);
    this.#channel = channel(this.#name, (word) => this.#heard(word));
    const look = () => void this.#look();
    this.#stopWatching = [onWake(look), this.#store.onChange?.(this.#name, look) ?? (() => {})];
    this.ready = this.#look().then(() => (this.#state.status === "restoring" ? this.#renewAhead() : undefined));
  }

  get state(): State {
    return this.#state;
  }

  get user(): User | undefined {
    return this.#state.user;
  }

  /** Calls back at each event; answers what ends that. */
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void {
    const listeners: Set<Events[E]> = this.#listeners[event] as never;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Makes an account. Where the service conceals who has one, the answer is a message alone. */
  register(account: RegisterRequest): Promise<Registered | RegistrationTaken> {
    return this.#service.register(account);
  }

  /** Throws a HallpassError: `invalid_credentials`, or `rate_limited` with `retryAfter`, and so on. */
  async login(who: LoginRequest): Promise<User> {
    await this.ready;
    const kept = await this.#cookieTurn(() => this.#service.login(who));
    await this.#commit(() => kept);
    if (this.#isAlone) this.#channel.tell("logged_in");
    return kept.user;
  }

  /**
   * Logs out in all tabs. The tokens are forgotten at once and in any case; it throws when hallpass could not be told, and
   * so the session is still open there.
   */
  async logout({ everywhere = false } = {}): Promise<void> {
    await this.ready;
    const kept = await this.#leave();
    this.#channel.tell("logged_out");
    // The cookie may be there all the same.
    if (kept || this.#inCookie) await this.#cookieTurn(() => this.#service.logout(kept, everywhere ? "global" : "local"));
  }

  /**
   * Like the global `fetch`, with the access token where the URL's origin is one that was named; any other request goes out as it is.
   * Renews the token ahead of time, and sends again once what was refused since it had expired; waits as long as a 429 or a
   * 503 wants that.
   */
  readonly fetch: typeof fetch = (input, init) => send(this, this.#send, new Request(input, init));

  /** For adapters of other HTTP clients: one request, with all that may become of it. */
  attempt(url: string, method: string, signal?: AbortSignal): Attempt {
    return new Attempt(this, { url, method, signal }, this.#clock, this.#waitMax);
  }

  /** Whether requests to that URL bear the access token. */
  isNamed(url: string): boolean {
    return this.#origins.has(new URL(url).origin);
  }

  /** A token that lives, and whose it is; none where nobody is logged in. Throws when it cannot be renewed now. */
  async access(signal?: AbortSignal): Promise<{ token: string; userId: number } | undefined> {
    await this.ready;
    // Another tab may hand over a token that has expired since: the second look renews it.
    for (let looks = 0; looks < 2 && this.#clock.now() >= this.#end; looks++) await this.renew(this.#token, signal);
    void this.#renewAhead();
    return this.#kept && { token: this.#kept.accessToken, userId: this.#kept.user.id };
  }

  /** Has another access token than that one, by one refresh for all who wait in all tabs; or the session has ended. */
  renew(used: string | null | undefined, signal?: AbortSignal): Promise<void> {
    if (this.#token !== used) return Promise.resolve();
    this.#renewing ??= this.#exclusively("refresh", () => this.#renew(used)).finally(() => (this.#renewing = undefined));
    this.#renewing.catch(() => {}); // where nobody waits any more
    return waitFor(this.#renewing, signal);
  }

  /** Ends timers and listeners; the session itself goes on in its store. */
  close(): void {
    this.#cancelAhead();
    this.#stopWatching.forEach((stop) => stop());
    this.#channel.close();
  }

  /** The access token; `null` where nobody is logged in, `undefined` where only hallpass knows. */
  get #token(): string | null | undefined {
    return this.#kept ? this.#kept.accessToken : this.#state.status === "restoring" ? undefined : null;
  }

  /** When it ends. What nobody knows has ended already, and nobody's never does. */
  get #end(): number {
    return this.#kept ? this.#kept.expiresAt : this.#token === null ? Infinity : 0;
  }

  /** Whether this tab knows for itself alone whose the cookie is that it shares with all others. */
  get #isAlone(): boolean {
    return this.#inCookie && !this.#store.shared;
  }

  /** What changes the cookie comes one after the other, in the order in which its answers are to count. */
  #cookieTurn<T>(run: () => Promise<T>): Promise<T> {
    return this.#inCookie ? this.#exclusively("refresh", run) : run();
  }

  async #renew(used: string | null | undefined): Promise<void> {
    await this.#look();
    if (this.#token !== used) return; // another tab has done it
    const before = this.#kept;
    const after = await this.#service.refresh(before).catch((error: unknown) => verdict(error, before));
    // Whoever logged in or out meanwhile knows better.
    await this.#commit((now) => (tokenIn(now) === used ? after : undefined));
  }

  /** Forgets the tokens; answers them. */
  async #leave(): Promise<Kept | undefined> {
    let kept: Kept | undefined;
    await this.#commit((now) => {
      kept = "user" in now ? now : this.#kept;
      return { ended: kept ? "logged_out" : (this.#state.ended ?? null) };
    });
    return kept;
  }

  /** Replaces what is saved, unless `decide` leaves it; no other tab saves meanwhile. */
  #commit(decide: (now: Saved) => Saved | undefined): Promise<void> {
    const change = async () => {
      const now = await this.#load();
      const next = decide(now);
      if (next) await this.#save(next);
      this.#take(next ?? now);
    };
    return this.#exclusively("store", () => this.#inTurn(change));
  }

  /** One after the other: what was read before a change is not taken over after it. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turns.then(run);
    this.#turns = turn.catch(() => {});
    return turn;
  }

  async #save(saved: Saved): Promise<void> {
    const text = JSON.stringify(saved);
    try {
      await this.#store.save(this.#name, text);
      this.#channel.tell("look");
    } catch {
      // A store that is full or forbidden: the session lives on in this page, and ends with it.
      this.#store = memoryStore();
      await this.#store.save(this.#name, text);
    }
  }

  async #load(): Promise<Saved> {
    try {
      const saved: unknown = JSON.parse((await this.#store.load(this.#name)) ?? "{}");
      return isSaved(saved) ? saved : {};
    } catch {
      return this.#kept ?? (this.#token === null ? { ended: this.#state.ended ?? null } : {});
    }
  }

  /** Takes over what the store has: other tabs may have changed it, or this page slept. */
  #look(): Promise<void> {
    return this.#inTurn(async () => this.#take(await this.#load()));
  }

  #heard(word: Word): void {
    if (word === "look" || this.#store.shared) void this.#look();
    else if (word === "logged_out") void this.#leave().then((kept) => this.#alsoLeft(kept)).catch(() => {});
    else if (this.#inCookie) void this.#commit(() => ({})); // whose the cookie is now, hallpass knows
  }

  /** A session of this tab alone ends with the others; the one of a cookie has ended already. */
  async #alsoLeft(kept: Kept | undefined): Promise<void> {
    if (kept && !this.#inCookie) await this.#service.logout(kept, "local");
  }

  #take(saved: Saved): void {
    const had = this.#kept;
    this.#kept = "user" in saved ? saved : undefined;
    const { user, ended } = { user: undefined, ended: undefined, ...saved };
    const isUnknown = this.#inCookie && tokenIn(saved) === undefined;
    const state: State = { status: user ? "logged_in" : isUnknown ? "restoring" : "logged_out", user, ended: ended ?? undefined };
    const isOther = JSON.stringify(state) !== JSON.stringify(this.#state);
    if (isOther) this.#state = state;
    this.#plan();
    if (!isOther) return;
    // Later, so that what they throw is not the session's.
    this.#listeners.changed.forEach((listener) => queueMicrotask(() => listener(state)));
    if (had && state.status === "logged_out") this.#listeners.ended.forEach((listener) => queueMicrotask(() => listener(ended ?? "logged_out")));
  }

  /** Renews the token in time, as long as somebody is looking. */
  #plan(): void {
    this.#cancelAhead();
    if (this.#token !== null) this.#renewAheadIn(Math.max(0, this.#due - this.#clock.now()));
  }

  /** A page may be hidden in the meantime as well. Once it is shown again, it looks, and plans anew. */
  #renewAheadIn(wait: number): void {
    if (isVisible()) this.#cancelAhead = this.#clock.after(wait, () => isVisible() && this.#renewAhead());
  }

  get #due(): number {
    return this.#end - Math.min(AHEAD_MAX, (this.#kept?.lifetime ?? 0) * AHEAD);
  }

  /** Nobody waits for this: where it fails, the token at hand is good for a while yet. */
  async #renewAhead(): Promise<void> {
    if (this.#renewing || this.#clock.now() < this.#due) return;
    await this.renew(this.#token).catch(() => {
      this.#cancelAhead();
      this.#renewAheadIn(AHEAD_AGAIN);
    });
  }
}

/** Refuses what is more than an origin, so that nobody takes a path for a limit. */
function checkedOrigin(origin: string): string {
  if (!/^https?:\/\/[^/?#@\s]+$/.test(origin)) {
    throw new TypeError(`${JSON.stringify(origin)} is no origin: write scheme, host and port alone, as in https://api.example.com`);
  }
  return new URL(origin).origin;
}

function isSaved(saved: unknown): saved is Saved {
  if (typeof saved !== "object" || saved === null) return false;
  return "refreshToken" in saved ? "user" in saved && "accessToken" in saved && "expiresAt" in saved : "ended" in saved;
}

/** The access token that is saved; `null` where it is known that there is none, `undefined` where nothing is known. */
const tokenIn = (saved: Saved) => ("user" in saved ? saved.accessToken : "ended" in saved ? null : undefined);

/** What an error of a refresh says of the session; throws it where it says nothing. */
function verdict(error: unknown, before: Kept | undefined): Saved {
  if (!(error instanceof HallpassError)) throw error;
  const { code, isVerdict } = error;
  if (isVerdict) return { ended: before || code !== "authentication_required" ? code : null };
  // This page may have no cookie: nobody logs in here.
  if (!before && code === "csrf_check_failed") return { ended: code };
  // The token of an app that has turned to cookies, where another app of the site has brought one: that one counts.
  if (before?.refreshToken && code === "ambiguous_token") return {};
  throw error;
}
