// The adapter for axios, by axios itself.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { inspect } from "node:util";
import axios from "axios";
import { createSession } from "@hallpass/client";
import { attach } from "@hallpass/client/axios";
import { ADA, API, Fake, HALLPASS, ManualClock, problem, settled, TTL } from "./support.mjs";

let clock, service, session, api;
beforeEach(async () => {
  clock = new ManualClock();
  service = new Fake(clock);
  session = createSession(HALLPASS, { origins: [API], fetch: service.fetch, clock });
  await session.login(ADA);
  // As axios sends by `fetch` in a browser.
  api = axios.create({ baseURL: API, adapter: "fetch", env: { fetch: service.fetch, Request, Response } });
  attach(session, api);
});

test("axios sends the token to the origins that were named alone", async () => {
  assert.deepEqual((await api.get("/hello", { params: { a: 1 } })).data, { hello: 2 });
  await api.get("https://elsewhere.example.com/").catch(() => {});
  assert.equal(service.asked.at(-1).authorization, null);
  await api.get("/hello", { headers: { Authorization: "Basic eA==" } }).catch(() => {});
  assert.equal(service.asked.at(-1).authorization, "Basic eA==");
});

test("fifty calls by axios at expiry make one refresh", async () => {
  await clock.advance(TTL * 1000);
  const answers = await Promise.all(Array.from({ length: 50 }, () => api.get("/hello")));
  assert.deepEqual([answers.every(({ data }) => data.hello === 2), service.refreshes], [true, 1]);
  service.expireAll();
  assert.deepEqual((await api.post("/hello", { a: 1 })).data, { hello: 2 });
  assert.deepEqual([service.refreshes, service.asked.at(-1).body], [2, '{"a":1}']);
});

test("axios waits where it is told to", async () => {
  service.plan(API, () => problem(503, "overloaded", { "Retry-After": "7" }));
  const call = api.get("/hello");
  await settled();
  assert.deepEqual(clock.waits, [7000]);
  await clock.advance(7000);
  assert.deepEqual((await call).data, { hello: 2 });
  assert.equal(service.refreshes, 0);
});

test("errors of axios have no token", async () => {
  service.plan(API, () => problem(403, "forbidden"));
  const error = await api.post("/hello", "x").catch((error) => error);
  assert.equal(error.response.data.code, "forbidden");
  assert.doesNotMatch(inspect(error, { depth: 20 }) + JSON.stringify(error), /secret/);
});

test("what was attached can be taken away", async () => {
  const other = axios.create({ baseURL: API, adapter: "fetch", env: { fetch: service.fetch, Request, Response } });
  attach(session, other)();
  await other.get("/hello").catch(() => {});
  assert.equal(service.asked.at(-1).authorization, null);
});
