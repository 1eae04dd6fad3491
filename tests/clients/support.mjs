// What the tests of @hallpass/client share: a clock that is moved, and a hallpass as far as a client sees it.

import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";

export const HALLPASS = "https://auth.example.com";
export const API = "https://api.example.com";
export const ADA = { email: "ada@example.com", password: "an engine weaves patterns" };
/** How long access tokens of the fake service live, in seconds. */
export const TTL = 900;

/** A clock that stands still until it is moved. Chance is always the same. */
export class ManualClock {
  time = Date.parse("2026-11-29T12:00:00Z");
  chance = 0;
  #timers = new Set();

  now = () => this.time;
  random = () => this.chance;

  after(milliseconds, run) {
    const timer = { at: this.time + milliseconds, milliseconds, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on, and runs what is due. */
  async advance(milliseconds) {
    this.time += milliseconds;
    for (const timer of this.#timers) {
      if (timer.at > this.time) continue;
      this.#timers.delete(timer);
      timer.run();
    }
    await settled();
  }

  /** The waits that are under way, in milliseconds, but for the bounds of requests. */
  get waits() {
    return [...this.#timers].map(({ milliseconds }) => milliseconds).filter((wait) => wait !== 10_000 && wait !== 20_000);
  }

  /** Sleeps through each wait that comes, until the promise is settled. */
  async passing(promise) {
    let over = false;
    const end = promise.finally(() => (over = true));
    end.catch(() => {});
    for (let rounds = 0; !over; rounds++) {
      assert.ok(rounds < 1000, "it does not come to an end");
      await settled();
      if (!over && this.waits.length) await this.advance(Math.max(...this.waits));
    }
    return end;
  }
}

/** Lets everything run that can. */
export async function settled() {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

export function problem(status, code, headers = {}) {
  const body = { type: `urn:hallpass:error:${code}`, title: "x", status, detail: `It is ${code}.`, code };
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json", ...headers } });
}

const json = (body, status = 200) => Response.json(body, { status });

/** hallpass and an API that takes its tokens. `fetch` is what a client sends by. */
export class Fake {
  /** All requests: {url, method, authorization, mode, credentials, body}. */
  asked = [];
  /** What the browser has as the cookie; none where that is empty. */
  cookie = "";
  /** Answers for the next requests whose URL begins so: functions of the request, `pass` among them. */
  #planned = [];
  #sessions = [];

  constructor(clock) {
    this.clock = clock;
  }

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const { url, method, signal, credentials } = request;
    const authorization = request.headers.get("Authorization");
    const mode = request.headers.get("Hallpass-Mode");
    this.asked.push({ url, method, authorization, mode, credentials, body: await request.clone().text() });
    if (signal.aborted) throw signal.reason;
    const at = this.#planned.findIndex(({ start }) => url.startsWith(start));
    const plan = at < 0 ? undefined : this.#planned.splice(at, 1)[0].answer;
    return plan ? plan(request, () => this.#answer(request)) : this.#answer(request);
  };

  /** The next requests to a URL that begins so are answered by these. */
  plan(start, ...answers) {
    for (const answer of answers) this.#planned.push({ start, answer });
  }

  /** Requests to that path. */
  to(path) {
    return this.asked.filter(({ url }) => new URL(url).pathname === path);
  }

  get refreshes() {
    return this.to("/auth/refresh-token").length;
  }

  /** Ends all sessions. */
  endAll(code = "invalid_refresh_token") {
    for (const session of this.#sessions) session.ended ??= code;
  }

  /** Has all access tokens be over. */
  expireAll() {
    for (const session of this.#sessions) session.expiresAt = 0;
  }

  async #answer(request) {
    const { pathname, origin } = new URL(request.url);
    if (origin === API) return this.#api(request);
    const text = await request.text();
    const body = text ? JSON.parse(text) : {};
    const token = request.headers.get("Authorization")?.slice(7);
    // As hallpass and a browser go about cookies.
    const inCookie = request.headers.get("Hallpass-Mode") === "cookie";
    const cookie = inCookie && request.credentials === "include" ? this.cookie : "";
    if (cookie && body.refreshToken) return problem(400, "ambiguous_token");
    switch (pathname) {
      case "/auth/register":
        return json({ id: 2, ...body, message: "user created successfully" }, 201);
      case "/auth/login":
        return body.password === ADA.password ? this.#handOver(inCookie, this.#open(body.email)) : problem(401, "invalid_credentials");
      case "/auth/refresh-token":
        return this.#refresh(cookie || body.refreshToken, inCookie);
      case "/auth/auth-me": {
        const session = this.#sessions.find(({ access }) => access === token);
        return session ? json({ user: session.user, accessToken: token }) : problem(401, "invalid_token");
      }
      case "/auth/logout": {
        const session = this.#sessions.find(({ access }) => access === token) ?? this.#sessionOf(cookie);
        if (inCookie) this.cookie = "";
        else if (!session || session.ended) return problem(401, "token_revoked");
        if (session) session.ended ??= "invalid_refresh_token";
        return json({ message: "logged out successfully" });
      }
    }
    return problem(404, "not_found");
  }

  /** In a cookie where that is wanted. */
  #handOver(inCookie, tokens) {
    if (inCookie) [this.cookie, tokens.refreshToken] = [tokens.refreshToken, ""];
    return json(tokens);
  }

  /** Somebody logs in by another app of the site, into the same cookie. */
  loginElsewhere(email) {
    this.cookie = this.#open(email).refreshToken;
  }

  #open(email) {
    const id = email === ADA.email ? 2 : 3;
    const user = { id, email, email_verified: true, first_name: null, last_name: null };
    const session = { id: this.#sessions.length + 1, generation: 1, user };
    this.#sessions.push(session);
    return { user, ...this.#mint(session) };
  }

  #mint(session) {
    session.expiresAt = this.clock.now() + TTL * 1000;
    const claims = Buffer.from(JSON.stringify({ sub: String(session.user.id), name: "ü>>>???" })).toString("base64url");
    session.access = `access.${claims}.secret.${session.id}.${session.generation}`;
    const refreshToken = `hp_rt_secret.${session.id}.${session.generation}`;
    return { accessToken: session.access, refreshToken, tokenType: "Bearer", expiresIn: TTL, sessionExpiresAt: 2e9 };
  }

  #sessionOf(refreshToken) {
    return this.#sessions[Number(refreshToken.split(".")[1]) - 1];
  }

  /** The successor; the same one again for the token before the last. */
  #refresh(refreshToken, inCookie) {
    if (!refreshToken) return problem(401, "authentication_required");
    const generation = Number(refreshToken.split(".")[2]);
    const session = this.#sessionOf(refreshToken);
    if (generation < session.generation - 1) session.ended ??= "refresh_token_reused";
    if (session.ended) {
      if (inCookie) this.cookie = "";
      return problem(401, session.ended);
    }
    session.generation = generation + 1;
    return this.#handOver(inCookie, this.#mint(session));
  }

  #api(request) {
    const token = request.headers.get("Authorization")?.slice(7);
    if (!token) return problem(401, "authentication_required");
    const session = this.#sessions.find(({ access }) => access === token);
    if (session?.ended) return problem(401, "token_revoked");
    if (!session || session.expiresAt <= this.clock.now()) return problem(401, "token_expired");
    return json({ hello: session.user.id });
  }
}
