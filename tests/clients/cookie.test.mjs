// The client with its refresh token in a cookie, against a hallpass that does what is wanted, under a clock that is moved.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { inspect } from "node:util";
import { createSession } from "@hallpass/client";
import { ADA, API, Fake, HALLPASS, ManualClock, problem, settled, TTL } from "./support.mjs";

const NO_LOCKS = !globalThis.navigator?.locks && "this Node.js has no Web Locks";
const GRACE = "grace@example.com";

let clock, service, ends, kept;
beforeEach(() => {
  clock = new ManualClock();
  service = new Fake(clock);
  ends = [];
  kept = new Map();
});

/** What all tabs see, and what outlives a reload. */
const store = () => ({ shared: true, load: (name) => kept.get(name) ?? null, save: (name, text) => void kept.set(name, text) });

async function open(options = {}) {
  const session = createSession(HALLPASS, { mode: "cookie", origins: [API], fetch: service.fetch, clock, ...options });
  session.on("ended", (reason) => ends.push(reason));
  await clock.passing(session.ready);
  return session;
}

async function loggedIn(options) {
  const session = await open(options);
  await session.login(ADA);
  return session;
}

const hello = async (session) => (await (await session.fetch(`${API}/hello`)).json()).hello;
const failing = (status, code, headers) => () => problem(status, code, headers);
const nobody = async () => {
  throw new TypeError("fetch failed");
};

test("the cookie goes along with login, refresh and logout, and with nothing else", async () => {
  const session = await loggedIn();
  await session.register({ ...ADA, email: GRACE });
  await clock.advance(TTL * 1000);
  assert.equal(await hello(session), 2);
  await session.logout({ everywhere: true });
  const sent = service.asked.map(({ url, mode, credentials, body }) => [new URL(url).pathname, mode, credentials, body.includes("refreshToken")]);
  assert.deepEqual(sent, [
    ["/auth/refresh-token", "cookie", "include", false],
    ["/auth/login", "cookie", "include", false],
    ["/auth/register", null, "omit", false],
    ["/auth/refresh-token", "cookie", "include", false],
    ["/hello", null, "same-origin", false],
    ["/auth/logout", "cookie", "include", false],
  ]);
  assert.match(service.asked.at(-1).url, /scope=global$/);
  assert.deepEqual([service.cookie, ends], ["", ["logged_out"]]);
});

test("no refresh token is kept, whoever hands one out", async () => {
  const session = await loggedIn({ store: store() });
  await clock.advance(TTL * 1000);
  // A service that knows no cookies, or a proxy that drops the header.
  service.plan(`${HALLPASS}/auth/refresh-token`, async (_, pass) => Response.json({ ...(await (await pass()).json()), refreshToken: "hp_rt_secret" }));
  await hello(session);
  assert.doesNotMatch([...kept.values()].join() + inspect(session, { depth: 20 }), /hp_rt_/);
});

test("a reload asks hallpass where nothing is kept, and whose the session is", async () => {
  await loggedIn();
  const before = service.asked.length;
  const session = await open();
  assert.deepEqual([session.state.status, session.user.email], ["logged_in", ADA.email]);
  assert.equal(await hello(session), 2);
  const paths = service.asked.slice(before).map(({ url }) => new URL(url).pathname);
  assert.deepEqual(paths, ["/auth/refresh-token", "/auth/auth-me", "/hello"]);
  const { credentials, authorization } = service.to("/auth/auth-me")[0];
  assert.equal(credentials, "omit");
  assert.match(authorization, /^Bearer /);
});

test("a reload asks nothing where the store knows, and a page that nobody is logged in at asks once", async () => {
  for (const [name, run] of [
    ["nobody was", async () => {}],
    ["somebody is", (session) => session.login(ADA)],
    ["somebody was", (session) => session.logout()],
  ]) {
    const session = await open({ store: store() });
    await run(session);
    const [state, before] = [session.state, service.asked.length];
    const after = await open({ store: store() });
    assert.deepEqual([after.state, service.asked.length], [state, before], name);
  }
  assert.equal(service.refreshes, 1);
  assert.deepEqual(service.to("/auth/auth-me"), []);
});

test("a store that fails leaves it to hallpass", async () => {
  const fail = () => {
    throw new DOMException("no", "InvalidStateError");
  };
  await loggedIn();
  const session = await open({ store: { shared: true, load: fail, save: fail } });
  assert.equal(session.user.email, ADA.email);
  assert.equal(await hello(session), 2);
});

test("two pages that are opened at once ask once", { skip: NO_LOCKS }, async () => {
  await loggedIn({ store: store() });
  kept.clear(); // as browsers do, which leave the cookie
  const pages = await Promise.all([open({ store: store() }), open({ store: store() })]);
  assert.deepEqual(pages.map(({ state }) => state.status), ["logged_in", "logged_in"]);
  assert.equal(service.refreshes, 1 + 1);
});

for (const [code, before, after] of [
  ["authentication_required", () => (service.cookie = ""), undefined],
  ["invalid_refresh_token", () => service.endAll(), "invalid_refresh_token"],
  ["session_expired", () => service.endAll("session_expired"), "session_expired"],
]) {
  test(`a session ends with the reason ${code}`, async () => {
    const session = await loggedIn({ store: store() });
    before();
    await clock.advance(TTL * 1000);
    assert.equal((await session.fetch(`${API}/hello`)).status, 401);
    await settled();
    assert.deepEqual([session.state, ends], [{ status: "logged_out", user: undefined, ended: code }, [code]]);
    assert.equal((await open({ store: store() })).state.ended, code, "after a reload as well");
  });

  test(`a reload meets ${code}`, async () => {
    await loggedIn();
    before();
    const session = await open();
    assert.deepEqual(session.state, { status: "logged_out", user: undefined, ended: after });
    assert.deepEqual(ends, []);
    await session.login(ADA);
    assert.equal(await hello(session), 2);
  });
}

for (const [name, ...answers] of [
  ["a service that is down", ...Array(5).fill(nobody)],
  ["a store that does not answer", ...Array(5).fill(failing(503, "dependency_unavailable", { "Retry-After": "3" }))],
  ["a wait that is too long", failing(503, "dependency_unavailable", { "Retry-After": "3600" })],
  ["somebody else's 401", () => new Response("<html>", { status: 401 })],
]) {
  test(`${name} is no logout`, async () => {
    const session = await loggedIn();
    service.plan(`${HALLPASS}/auth/refresh-token`, ...answers);
    await clock.advance(TTL * 1000);
    await clock.passing(assert.rejects(hello(session)));
    assert.deepEqual([session.state.status, ends], ["logged_in", []]);
    service.plan(`${HALLPASS}/auth/refresh-token`, ...answers);
    const reloaded = await open();
    assert.equal(reloaded.state.status, "restoring", "it cannot be told");
    assert.equal(await hello(reloaded), 2, "and the next call asks again");
    assert.deepEqual([reloaded.state.status, ends], ["logged_in", []]);
  });
}

test("an outage while nobody knows whose the cookie is ends nothing either", async () => {
  await loggedIn();
  service.plan(`${HALLPASS}/auth/auth-me`, ...Array(5).fill(failing(503, "dependency_unavailable", { "Retry-After": "1" })));
  const session = await open();
  assert.equal(session.state.status, "restoring");
  assert.equal(await hello(session), 2);
});

test("a page that may have no cookie is told so", async () => {
  service.plan(`${HALLPASS}/auth/refresh-token`, failing(403, "csrf_check_failed"));
  const session = await open();
  assert.deepEqual(session.state, { status: "logged_out", user: undefined, ended: "csrf_check_failed" });
});

test("somebody who logs in by another app of the site is who the session is of from then on", async () => {
  const session = await loggedIn({ store: store() });
  const users = [];
  session.on("changed", ({ user }) => users.push(user?.email));
  service.loginElsewhere(GRACE);
  assert.equal(await hello(session), 2, "until the token ends");
  await clock.advance(TTL * 1000);
  assert.equal(await hello(session), 3);
  assert.deepEqual([session.user.email, users, ends], [GRACE, [GRACE], []]);
  // What one asked for is not sent in the other's name.
  service.loginElsewhere(ADA.email);
  service.plan(API, failing(401, "token_expired"));
  assert.equal((await session.fetch(`${API}/hello`, { method: "POST", body: "Grace's" })).status, 401);
  assert.equal(session.user.email, ADA.email);
});

test("a logout is told to hallpass where nothing is known here, and again where it could not be told", async () => {
  await loggedIn();
  const session = await open({ store: store() });
  service.plan(`${HALLPASS}/auth/logout`, ...Array(5).fill(nobody));
  await clock.passing(assert.rejects(session.logout(), { code: "unreachable" }));
  assert.notEqual(service.cookie, "");
  assert.equal((await open({ store: store() })).state.status, "logged_out", "the store knows better than the cookie");
  await session.logout();
  assert.equal(service.cookie, "");
  assert.equal((await open()).state.status, "logged_out");
});

test("a login waits for a logout before it, whose answer takes the cookie away", { skip: NO_LOCKS }, async () => {
  const session = await loggedIn();
  let answer;
  service.plan(`${HALLPASS}/auth/logout`, (_, pass) => new Promise((go) => (answer = go)).then(pass));
  const logout = session.logout();
  await settled();
  const login = session.login({ ...ADA, email: GRACE });
  await settled();
  assert.equal(service.to("/auth/login").length, 1);
  answer();
  await Promise.all([logout, login]);
  assert.notEqual(service.cookie, "");
  assert.equal((await open()).user.email, GRACE);
});

test("an app that turns to cookies takes its sessions along", async () => {
  const session = await loggedIn({ store: store(), mode: "token" });
  const token = JSON.parse([...kept.values()][0]).refreshToken;
  assert.match(token, /^hp_rt_/);
  session.close();
  const after = await open({ store: store() });
  assert.equal(after.state.status, "logged_in");
  await clock.advance(TTL * 1000);
  assert.equal(await hello(after), 2);
  assert.deepEqual(JSON.parse(service.to("/auth/refresh-token").at(-1).body), { refreshToken: token });
  assert.match(service.cookie, /^hp_rt_/);
  assert.doesNotMatch([...kept.values()].join(), /hp_rt_/);
});

test("an app that turns to cookies has the session of another app's, where there is one", async () => {
  await loggedIn({ store: store(), mode: "token" });
  service.loginElsewhere(GRACE);
  const after = await open({ store: store() });
  await clock.advance(TTL * 1000);
  assert.equal(await hello(after), 3);
  assert.deepEqual([after.user.email, ends], [GRACE, []]);
});
