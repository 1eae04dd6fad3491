// @hallpass/client as it is packed, against a hallpass that does what is wanted, under a clock that is moved.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { beforeEach, describe, test } from "node:test";
import { inspect } from "node:util";
import { createSession, HallpassError } from "@hallpass/client";
import { ADA, API, Fake, HALLPASS, ManualClock, problem, settled, TTL } from "./support.mjs";

let clock, service, ends;
beforeEach(() => {
  clock = new ManualClock();
  service = new Fake(clock);
  ends = [];
});

function open(options = {}) {
  const session = createSession(HALLPASS, { origins: [API], fetch: service.fetch, clock, ...options });
  session.on("ended", (reason) => ends.push(reason));
  return session;
}

async function loggedIn(options) {
  const session = open(options);
  await session.login(ADA);
  return session;
}

/** A store that outlives its session, and what is in it. */
function store(shared = false) {
  const kept = new Map();
  return { shared, kept, load: (name) => kept.get(name) ?? null, save: (name, text) => void kept.set(name, text) };
}

const hello = async (session, init) => (await (await session.fetch(`${API}/hello`, init)).json()).hello;
const lost = async (_, pass) => {
  await pass();
  throw new TypeError("fetch failed");
};
const nobody = async () => {
  throw new TypeError("fetch failed");
};
const failing = (status, code, headers) => () => problem(status, code, headers);
const proxy = (status) => () => new Response("<html>", { status });

describe("a login", () => {
  test("registers, logs in, knows who it is, calls the API and logs out", async () => {
    const session = open();
    assert.equal(session.state.status, "restoring");
    await session.ready;
    assert.equal(session.state.status, "logged_out");
    assert.equal((await session.register(ADA)).id, 2);
    assert.equal((await session.login(ADA)).email, ADA.email);
    assert.deepEqual([session.state.status, session.user.id], ["logged_in", 2]);
    assert.equal(await hello(session), 2);
    await session.logout();
    assert.deepEqual(session.state, { status: "logged_out", user: undefined, ended: "logged_out" });
    assert.deepEqual(ends, ["logged_out"]);
    assert.equal(service.to("/auth/logout").length, 1);
  });

  test("says by a code what is wrong, and when to come back", async () => {
    const session = open();
    const wrong = await session.login({ ...ADA, password: "another" }).catch((error) => error);
    assert.ok(wrong instanceof HallpassError);
    assert.deepEqual([wrong.status, wrong.code], [401, "invalid_credentials"]);
    service.plan(HALLPASS, failing(429, "rate_limited", { "Retry-After": "17", "X-Request-Id": "r1" }));
    const limited = await session.login(ADA).catch((error) => error);
    assert.deepEqual([limited.code, limited.retryAfter, limited.requestId], ["rate_limited", 17, "r1"]);
    service.plan(HALLPASS, nobody);
    assert.equal((await session.login(ADA).catch((error) => error)).code, "unreachable");
    service.plan(HALLPASS, proxy(404));
    assert.equal((await session.login(ADA).catch((error) => error)).code, "unexpected_answer");
    assert.equal(service.to("/auth/login").length, 4, "none of them was sent again");
  });

  test("is not carried on to where somebody else points", async () => {
    const bodies = [];
    const serve = async (answer) => {
      const server = createServer((request, response) => answer(request, response)).listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    };
    const elsewhere = await serve(async (request, response) => {
      for await (const part of request) bodies.push(String(part));
      response.end("{}");
    });
    const Location = `http://127.0.0.1:${elsewhere.address().port}/`;
    const front = await serve((_, response) => response.writeHead(307, { Location }).end());
    try {
      const session = createSession(`http://127.0.0.1:${front.address().port}`);
      assert.equal((await session.login(ADA).catch((error) => error)).code, "unreachable");
      assert.deepEqual(bodies, []);
    } finally {
      for (const server of [elsewhere, front]) server.close();
    }
  });

  test("waits where nothing was decided", async () => {
    const session = open();
    service.plan(HALLPASS, failing(503, "overloaded", { "Retry-After": "2" }));
    assert.equal((await clock.passing(session.login(ADA))).id, 2);
  });

  test("prints no secret, whatever prints it", async () => {
    const session = await loggedIn();
    await session.login({ ...ADA, password: "hush" }).catch((error) => ends.push(error));
    service.plan(HALLPASS, () => {
      throw new TypeError("failed to send secret hush");
    });
    await session.login(ADA).catch((error) => ends.push(error));
    const attempt = session.attempt(`${API}/`, "GET");
    assert.match(await attempt.authorization(), /secret/);
    for (const thing of [session, attempt, ...ends]) {
      const printed = inspect(thing, { depth: 20 }) + JSON.stringify(thing) + String(thing) + thing.stack;
      assert.doesNotMatch(printed, /secret|hush|engine/);
    }
  });
});

describe("an access token that is over", () => {
  test("is renewed once for fifty calls", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000);
    assert.deepEqual(await Promise.all(Array.from({ length: 50 }, () => hello(session))), Array(50).fill(2));
    assert.equal(service.refreshes, 1);
  });

  test("is renewed ahead of time, and nobody waits for it", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000 - 61_000);
    await hello(session);
    assert.equal(service.refreshes, 0, "there is a minute left");
    await clock.advance(2000);
    let answer;
    service.plan(`${HALLPASS}/auth/refresh-token`, (_, pass) => new Promise((done) => (answer = done)).then(pass));
    assert.equal(await hello(session), 2);
    assert.match(service.to("/hello").at(-1).authorization, /^Bearer access\..*\.secret\.1\.1$/);
    assert.equal(service.refreshes, 1);
    answer();
    await settled();
    await hello(session);
    assert.match(service.asked.at(-1).authorization, /^Bearer access\..*\.secret\.1\.2$/);
    assert.equal(service.refreshes, 1);
  });

  test("goes on being used where it cannot be renewed ahead of time", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000 - 1000);
    service.plan(`${HALLPASS}/auth/refresh-token`, failing(503, "dependency_unavailable", { "Retry-After": "3600" }));
    assert.equal(await hello(session), 2);
    assert.deepEqual(ends, []);
  });

  test("is sent again once with another one where only the service knew", async () => {
    const session = await loggedIn();
    service.expireAll();
    assert.deepEqual(await Promise.all([hello(session), hello(session, { method: "POST", body: "x" })]), [2, 2]);
    assert.equal(service.refreshes, 1);
    assert.deepEqual(service.to("/hello").filter(({ method }) => method === "POST").map(({ body }) => body), ["x", "x"]);
    service.plan(API, failing(401, "token_expired"), failing(401, "token_expired"));
    assert.equal((await session.fetch(`${API}/hello`)).status, 401);
    assert.equal(service.refreshes, 2);
    assert.equal(service.to("/hello").length, 6, "once, and no more");
  });

  test("is nothing that other refusals are taken for", async () => {
    const session = await loggedIn();
    for (const answer of [failing(401, "invalid_token"), proxy(401), failing(403, "forbidden"), failing(500, "internal_error")]) {
      service.plan(API, answer);
      await session.fetch(`${API}/hello`);
    }
    assert.deepEqual([service.refreshes, service.to("/hello").length], [0, 4]);
    assert.deepEqual(ends, []);
  });

  test("does not keep waiting whoever gives up", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000);
    service.plan(HALLPASS, failing(503, "dependency_unavailable", { "Retry-After": "9" }));
    const giveUp = new AbortController();
    const call = session.fetch(`${API}/hello`, { signal: giveUp.signal });
    await settled();
    giveUp.abort(new Error("enough"));
    await assert.rejects(call, /enough/);
    assert.equal(await clock.passing(hello(session)), 2, "the renewal went on");
  });
});

describe("trouble is no logout", () => {
  for (const [name, ...answers] of [
    ["a lost answer", lost],
    ["a service that is down for a while", nobody, nobody, nobody],
    ["a store that does not answer", failing(503, "dependency_unavailable", { "Retry-After": "3" })],
    ["a limit", failing(429, "rate_limited", { "Retry-After": "30" })],
    ["a defect", failing(500, "internal_error")],
    ["a request that came too slowly", failing(408, "request_timeout")],
    ["a proxy without a service", proxy(502), proxy(504), proxy(503)],
  ]) {
    test(`${name} while a token is renewed`, async () => {
      const session = await loggedIn();
      await clock.advance(TTL * 1000);
      service.plan(`${HALLPASS}/auth/refresh-token`, ...answers);
      assert.equal(await clock.passing(hello(session)), 2);
      assert.equal(service.refreshes, answers.length + 1);
      assert.deepEqual([ends, session.state.status], [[], "logged_in"]);
    });
  }

  for (const [name, answer, code, refreshes] of [
    ["nobody who answers", nobody, "unreachable", 5],
    ["a wait that is too long", failing(503, "dependency_unavailable", { "Retry-After": "31" }), "dependency_unavailable", 1],
    ["somebody else's 401", proxy(401), "unexpected_answer", 1],
    ["somebody else's page", () => new Response("<html>"), "unreachable", 5],
  ]) {
    test(`${name}: the call fails, the session does not`, async () => {
      const session = await loggedIn();
      await clock.advance(TTL * 1000);
      service.plan(`${HALLPASS}/auth/refresh-token`, ...Array(refreshes).fill(answer));
      const error = await clock.passing(hello(session)).catch((error) => error);
      assert.ok(error instanceof HallpassError, error);
      assert.deepEqual([error.code, service.refreshes], [code, refreshes]);
      assert.deepEqual([ends, session.state.status], [[], "logged_in"]);
      assert.equal(await hello(session), 2, "the next one succeeds");
    });
  }

  test("a connection that says nothing any more is given up", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000);
    service.plan(`${HALLPASS}/auth/refresh-token`, ({ signal }) => new Promise((_, failed) => signal.addEventListener("abort", failed)));
    const call = hello(session);
    await settled();
    await clock.advance(10_000);
    assert.equal(await clock.passing(call), 2, "early enough to be told the same again");
  });

  test("a lid that closes in the middle of a refresh loses no answer", async () => {
    const session = await loggedIn();
    await clock.advance(TTL * 1000);
    let answer;
    service.plan(`${HALLPASS}/auth/refresh-token`, async ({ signal }, pass) => {
      const it = await pass();
      return new Promise((done, failed) => {
        answer = () => done(it);
        signal.addEventListener("abort", failed);
      });
    });
    const call = hello(session);
    await settled();
    await clock.advance(8 * 60 * 60 * 1000); // the timer that would give it up is late as well
    answer();
    assert.equal(await clock.passing(call), 2);
    const redeemed = service.to("/auth/refresh-token").map(({ body }) => JSON.parse(body).refreshToken.at(-1));
    assert.deepEqual(redeemed, ["1", "2"], "what it brought is over by now, and the next is asked for");
    assert.deepEqual(service.to("/hello").length, 1, "and nobody had to be refused for it");
    assert.deepEqual(ends, []);
  });

  test("waits are never shorter than the service wants, grow, and differ by chance", async () => {
    for (const [chance, said, waits] of [
      [0, undefined, [500, 1000, 2000, 4000]],
      [0.5, undefined, [750, 1500, 2500, 4500]],
      [0, "3", [3000, 3000, 3000, 4000]],
      [0.5, "3", [3500, 3500, 3500, 4500]],
      [0, new Date(clock.time + TTL * 1000 + 5000).toUTCString(), [5000]],
    ]) {
      const session = await loggedIn();
      const start = clock.time;
      clock.chance = chance;
      await clock.advance(TTL * 1000);
      const busy = failing(503, "dependency_unavailable", said && { "Retry-After": said });
      service.plan(`${HALLPASS}/auth/refresh-token`, ...waits.map(() => busy));
      const call = hello(session);
      for (const wait of waits) {
        await settled();
        assert.deepEqual(clock.waits, [wait]);
        await clock.advance(wait);
      }
      assert.equal(await call, 2);
      clock.time = start;
    }
  });
});

describe("an API that is busy", () => {
  test("is left alone for as long as it says, and no token is renewed for it", async () => {
    const session = await loggedIn();
    for (const [status, code] of [
      [503, "dependency_unavailable"],
      [429, "rate_limited"],
    ]) {
      service.plan(API, failing(status, code, { "Retry-After": "7" }));
      const call = hello(session, { method: "POST", body: "x" });
      await settled();
      assert.deepEqual(clock.waits, [7000]);
      await clock.advance(6999);
      assert.deepEqual(clock.waits, [7000]);
      await clock.advance(1);
      assert.equal(await call, 2);
    }
    assert.equal(service.refreshes, 0);
  });

  test("answers the app where a wait is not wanted, is too long, or would do something twice", async () => {
    const session = await loggedIn();
    for (const [method, answer] of [
      ["GET", proxy(503)],
      ["GET", failing(503, "overloaded", { "Retry-After": "31" })],
      ["GET", failing(503, "revocation_pending", { "Retry-After": "1" })],
      ["POST", () => new Response("{}", { status: 503, headers: { "Retry-After": "1" } })],
    ]) {
      service.plan(API, answer);
      assert.equal((await session.fetch(`${API}/hello`, { method })).status, 503);
    }
    assert.equal(service.to("/hello").length, 4);
    service.plan(API, ...Array(9).fill(failing(503, "overloaded", { "Retry-After": "1" })));
    assert.equal((await clock.passing(session.fetch(`${API}/hello`))).status, 503);
    assert.equal(service.to("/hello").length, 4 + 5, "five times and no more");
  });
});

describe("the end of a session", () => {
  for (const code of ["invalid_refresh_token", "refresh_token_reused", "session_expired", "session_evicted", "of_a_later_version"]) {
    test(`has the reason ${code}`, async () => {
      const kept = store();
      const session = await loggedIn({ store: kept });
      service.endAll(code);
      assert.equal((await session.fetch(`${API}/hello`)).status, 401);
      await settled();
      assert.deepEqual(ends, [code]);
      assert.deepEqual(session.state, { status: "logged_out", user: undefined, ended: code });
      assert.doesNotMatch([...kept.kept.values()].join(), /secret/);
      assert.equal((await session.fetch(`${API}/hello`)).status, 401);
      assert.equal(service.asked.at(-1).authorization, null);
      const after = open({ store: kept });
      await after.ready;
      assert.equal(after.state.ended, code, "after a reload as well");
      await after.login(ADA);
      assert.equal(after.state.ended, undefined);
    });
  }

  test("by a logout comes at once, even if hallpass cannot be told", async () => {
    const kept = store();
    const session = await loggedIn({ store: kept });
    service.plan(`${HALLPASS}/auth/logout`, ...Array(5).fill(nobody));
    const logout = session.logout();
    await settled();
    assert.deepEqual([session.state.status, ends], ["logged_out", ["logged_out"]]);
    assert.doesNotMatch([...kept.kept.values()].join(), /secret/);
    await assert.rejects(clock.passing(logout), { code: "unreachable" });
    await session.logout();
    assert.deepEqual(ends, ["logged_out"], "once");
  });

  test("that has come already, or is on its way, is no error of a logout", async () => {
    for (const answer of [failing(401, "token_revoked"), failing(503, "revocation_pending"), failing(401, "session_expired")]) {
      const session = await loggedIn();
      service.plan(`${HALLPASS}/auth/logout`, answer);
      await session.logout();
    }
    assert.equal(service.to("/auth/logout").length, 3);
  });

  test("everywhere is told to hallpass", async () => {
    const session = await loggedIn();
    await session.logout({ everywhere: true });
    assert.match(service.asked.at(-1).url, /scope=global$/);
  });

  test("is not undone by a renewal that was under way", async () => {
    const kept = store();
    const session = await loggedIn({ store: kept });
    await clock.advance(TTL * 1000);
    let answer;
    service.plan(`${HALLPASS}/auth/refresh-token`, (_, pass) => pass().then((it) => new Promise((done) => (answer = () => done(it)))));
    const call = session.fetch(`${API}/hello`);
    await settled();
    await session.logout();
    answer();
    assert.equal((await call).status, 401);
    assert.equal(session.state.status, "logged_out");
    assert.doesNotMatch([...kept.kept.values()].join(), /secret/);
  });

  test("and another's login send nothing in the other's name", async () => {
    const session = await loggedIn();
    service.plan(API, async () => {
      await session.login({ ...ADA, email: "grace@example.com" });
      return problem(401, "token_expired");
    });
    assert.equal((await session.fetch(`${API}/hello`, { method: "POST", body: "Ada's" })).status, 401);
    assert.equal(service.to("/hello").length, 1);
    service.plan(API, async () => {
      await session.login(ADA);
      return problem(429, "rate_limited", { "Retry-After": "1" });
    });
    await clock.passing(session.fetch(`${API}/hello`, { method: "POST", body: "Grace's" }));
    assert.match(service.asked.at(-1).authorization, /^Bearer access\..*\.secret\.2\.1$/);
  });
});

describe("the token", () => {
  test("goes to the origins that were named, and to no other", async () => {
    const session = await loggedIn();
    const others = [`${API}.example.net/`, `${API}:8443/`, API.replace("https", "http"), "https://example.com/", "data:text/plain,x"];
    for (const url of others) {
      service.plan(url, proxy(401));
      await session.fetch(url).catch(() => {});
      assert.equal(service.asked.at(-1).authorization, null, url);
    }
    for (const url of [`${API}:443/hello`, new URL(`${API}/a`), new Request(`${API}/b`), `${HALLPASS}/users/me`]) {
      await session.fetch(url, { method: "POST", body: "{}" });
      assert.match(service.asked.at(-1).authorization, /^Bearer access/);
    }
    assert.equal(service.refreshes, 0);
  });

  test("stands back where the app sets the header, and keeps what else a request has", async () => {
    const session = await loggedIn();
    await session.fetch(`${API}/hello`, { headers: { Authorization: "Basic eA==" } });
    assert.equal(service.asked.at(-1).authorization, "Basic eA==");
    await session.fetch(new Request(`${API}/hello`, { method: "PUT", body: "b", headers: { "X-A": "1" } }));
    const { method, body } = service.asked.at(-1);
    assert.deepEqual([method, body], ["PUT", "b"]);
  });

  test("has its origins checked", () => {
    for (const origin of [`${API}/`, `${API}/books`, "api.example.com", "*", "null", "", "capacitor://localhost", "https://a@b"]) {
      assert.throws(() => open({ origins: [origin] }), TypeError, origin);
    }
    assert.throws(() => createSession("capacitor://localhost"), TypeError);
  });
});

describe("a store", () => {
  test("brings a session back, without a request", async () => {
    const kept = store();
    await loggedIn({ store: kept });
    const before = service.asked.length;
    const session = open({ store: kept });
    await session.ready;
    assert.deepEqual([session.state.status, session.user.email, service.asked.length], ["logged_in", ADA.email, before]);
    assert.equal(await hello(session), 2);
  });

  test("need not answer at once", async () => {
    const { load, save } = store();
    const slow = { shared: false, load: async (name) => (await settled(), load(name)), save: async (...it) => (await settled(), save(...it)) };
    await loggedIn({ store: slow });
    const session = open({ store: slow });
    assert.equal(session.state.status, "restoring");
    assert.equal(await hello(session), 2, "a call waits for it");
  });

  test("that answers late does not undo what came after", async () => {
    const { kept, save } = store();
    const late = [];
    let changed;
    const session = open({
      store: {
        shared: false,
        save,
        load(name) {
          const text = kept.get(name) ?? null;
          return new Promise((done) => late.push(() => done(text)));
        },
        onChange: (_, heard) => ((changed = heard), () => {}),
      },
    });
    /** The last that was asked is answered first. */
    const answered = async (promise) => {
      let over = false;
      promise.finally(() => (over = true));
      for (let rounds = 0; !over || late.length; rounds++) {
        assert.ok(rounds < 100, "it does not come to an end");
        await settled();
        late.pop()?.();
        await settled();
      }
    };
    await answered(session.login(ADA));
    changed();
    await answered(session.logout());
    assert.equal(session.state.status, "logged_out");
  });

  test("with something else in it is an empty one", async () => {
    for (const text of ["{", "[]", "null", '"x"', '{"refreshToken":"x"}', "{}"]) {
      const session = open({ store: { shared: false, load: () => text, save() {} } });
      await session.ready;
      assert.equal(session.state.status, "logged_out", text);
    }
  });

  test("that fails takes nobody's session", async () => {
    const fail = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    const session = await loggedIn({ store: { shared: true, load: fail, save: fail } });
    await clock.advance(TTL * 1000);
    assert.equal(await hello(session), 2);
    assert.equal(session.state.status, "logged_in");
    const kept = store();
    const other = await loggedIn({ store: kept });
    kept.save = fail;
    for (const generation of [2, 3]) {
      await clock.advance(TTL * 1000);
      assert.equal(await hello(other), 2, "it does not go back to what it could save");
      assert.match(service.asked.at(-1).authorization, new RegExp(`^Bearer access\\..*\\.secret\\.2\\.${generation}$`));
    }
  });

  test("of another hallpass gives nothing away", async () => {
    const kept = store();
    await loggedIn({ store: kept });
    const session = createSession("https://auth.example.net", { store: kept, fetch: service.fetch, clock, origins: [API] });
    await session.ready;
    assert.equal(session.state.status, "logged_out");
  });
});

test("whoever listens hears each change once, until they stop", async () => {
  const session = open();
  await session.ready;
  const seen = [];
  const stop = session.on("changed", ({ status }) => seen.push(status));
  await session.login(ADA);
  await clock.advance(TTL * 1000);
  await hello(session);
  await session.logout();
  await settled();
  assert.deepEqual(seen, ["logged_in", "logged_out"]);
  stop();
  await session.login(ADA);
  await settled();
  assert.equal(seen.length, 2);
});
