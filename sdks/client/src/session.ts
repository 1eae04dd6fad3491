// A login that lasts.

import { Attempt, send } from "./attempt.js";
import { HallpassError } from "./errors.js";
import type { Code } from "./errors.js";
import type { LoginRequest, RegisterRequest, Registered, RegistrationTaken, User } from "./openapi.js";
import { systemClock, waitFor } from "./patience.js";
import type { Clock } from "./patience.js";
import { Service } from "./service.js";
import type { Kept } from "./service.js";
import { memoryStore } from "./storage.js";
import type { Store } from "./storage.js";
import { channel, exclusively, isVisible, onWake } from "./tabs.js";
import type { Channel, Exclusively, Word } from "./tabs.js";

export interface Options {
  /** Origins beside hallpass' own that are sent the access token: those of your APIs, the page's own too if it is one. */
  origins?: readonly string[];
  /** Where the session outlives the page. In memory unless set: a reload ends it then. */
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
  /** `restoring` until the store has answered. */
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

/** What the store has: a login, or why there is none. */
type Saved = Kept | { ended: EndReason | undefined };

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
    this.#store = options.store ?? memoryStore();
    // With the URL: a page that moves to another hallpass must not send this one's token there.
    this.#name = `${options.name ?? "hallpass"} ${base}`;
    this.#clock = options.clock ?? systemClock;
    this.#waitMax = options.waitMax ?? 30;
    this.#send = options.fetch ?? ((...request) => globalThis.fetch(...request));
    this.#service = new Service(base, this.#send, this.#clock, this.#waitMax);
    this.#exclusively = exclusively(this.#name, this.#store.shared);
    this.#channel = channel(this.#name, (word) => this.#heard(word));
    const look = () => void this.#look();
    this.#stopWatching = [onWake(look), this.#store.onChange?.(this.#name, look) ?? (() => {})];
    this.ready = this.#look();
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
    const kept = await this.#service.login(who);
    await this.ready;
    await this.#commit(() => kept);
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
    if (kept) await this.#service.logout(kept, everywhere ? "global" : "local");
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
    for (let looks = 0; looks < 2 && this.#kept && this.#clock.now() >= this.#kept.expiresAt; looks++) {
      await this.renew(this.#kept.accessToken, signal);
    }
    this.#renewAhead();
    return this.#kept && { token: this.#kept.accessToken, userId: this.#kept.user.id };
  }

  /** Has another access token than that one, by one refresh for all who wait in all tabs; or the session has ended. */
  renew(used: string, signal?: AbortSignal): Promise<void> {
    if (this.#kept?.accessToken !== used) return Promise.resolve();
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

  async #renew(used: string): Promise<void> {
    await this.#look();
    const before = this.#kept;
    if (before?.accessToken !== used) return; // another tab has done it
    let after: Saved;
    try {
      after = await this.#service.refresh(before);
    } catch (error) {
      if (!(error instanceof HallpassError && error.isVerdict)) throw error;
      after = { ended: error.code };
    }
    // Whoever logged in or out meanwhile knows better.
    await this.#commit((now) => ("refreshToken" in now && now.refreshToken === before.refreshToken ? after : undefined));
  }

  /** Forgets the tokens; answers them. */
  async #leave(): Promise<Kept | undefined> {
    let kept: Kept | undefined;
    await this.#commit((now) => {
      kept = "user" in now ? now : this.#kept;
      return { ended: kept ? "logged_out" : this.#state.ended };
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
      return isSaved(saved) ? saved : { ended: undefined };
    } catch {
      return this.#kept ?? { ended: this.#state.ended };
    }
  }

  /** Takes over what the store has: other tabs may have changed it, or this page slept. */
  #look(): Promise<void> {
    return this.#inTurn(async () => this.#take(await this.#load()));
  }

  #heard(word: Word): void {
    if (word === "look" || this.#store.shared) void this.#look();
    else void this.#leave().then((kept) => kept && this.#service.logout(kept, "local")).catch(() => {});
  }

  #take(saved: Saved): void {
    const before = this.#state;
    const had = this.#kept;
    this.#kept = "user" in saved ? saved : undefined;
    const { user, ended } = { user: undefined, ended: undefined, ...saved };
    const state: State = { status: user ? "logged_in" : "logged_out", user, ended };
    this.#plan();
    if (JSON.stringify(state) === JSON.stringify(before)) return;
    this.#state = state;
    // Later, so that what they throw is not the session's.
    this.#listeners.changed.forEach((listener) => queueMicrotask(() => listener(state)));
    if (had && !user) this.#listeners.ended.forEach((listener) => queueMicrotask(() => listener(ended ?? "logged_out")));
  }

  /** Renews the token in time, as long as somebody is looking. */
  #plan(): void {
    this.#cancelAhead();
    if (this.#kept) this.#renewAheadIn(Math.max(0, this.#due(this.#kept) - this.#clock.now()));
  }

  /** A page may be hidden in the meantime as well. Once it is shown again, it looks, and plans anew. */
  #renewAheadIn(wait: number): void {
    if (isVisible()) this.#cancelAhead = this.#clock.after(wait, () => isVisible() && this.#renewAhead());
  }

  #due({ expiresAt, lifetime }: Kept): number {
    return expiresAt - Math.min(AHEAD_MAX, lifetime * AHEAD);
  }

  /** Nobody waits for this: where it fails, the token at hand is good for a while yet. */
  #renewAhead(): void {
    if (!this.#kept || this.#renewing || this.#clock.now() < this.#due(this.#kept)) return;
    this.renew(this.#kept.accessToken).catch(() => {
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
