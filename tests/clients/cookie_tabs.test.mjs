// The client with its refresh token in a cookie, in the tabs of a real browser: a page and a hallpass on one site.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ADMIN, inBrowser, launch, until } from "./browser.mjs";
import { countRefreshes, endSessions, expireShown, Stage, Tab } from "./tabs.mjs";

const GRACE = { email: "grace@example.com", password: "a moth in the relay" };
/** Two hosts of one site, where there are no Web Locks, since it is plain http. */
const APP = "http://app.example.test";
const AUTH = "http://auth.example.test";

let stage, browser;
before(async () => {
  const settings = { HALLPASS_CORS__ORIGINS: APP, HALLPASS_DEV__ALLOWED_HOSTS: new URL(AUTH).host };
  stage = await Stage.open(settings);
  browser = await launch([`MAP ${new URL(APP).host}:80 ${stage.here}`, `MAP ${new URL(AUTH).host}:80 ${stage.hallpass.listen}`]);
  const headers = { "Content-Type": "application/json" };
  const registered = await fetch(`${stage.hallpass.url}/auth/register`, { method: "POST", headers, body: JSON.stringify(GRACE) });
  assert.equal(registered.status, 201);
});
after(async () => {
  await browser?.close();
  await stage?.close();
});

const test = (name, run) => inBrowser(name, () => browser, run);

/** To a browser, `localhost` and `127.0.0.1` are two sites. */
const local = () => stage.hallpass.url.replace("127.0.0.1", "localhost");

/** With the store that such a session has by itself, unless one is named. */
const open = (context, { at = stage.origin, hallpass = local(), store } = {}) => Tab.open(context, at, hallpass, { mode: "cookie", store });

async function cookieOf(context) {
  const cookies = await context.cookies();
  return cookies.find(({ name }) => name === "hallpass");
}

/** All that scripts of a page can read, but for what is in the memory of others. */
const readable = ({ page }) =>
  page.evaluate(async () => {
    const read = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)));
    const all = [document.cookie, JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })];
    for (const { name } of await indexedDB.databases()) {
      const database = await read(indexedDB.open(name));
      for (const table of database.objectStoreNames) all.push(JSON.stringify(await read(database.transaction(table).objectStore(table).getAll())));
      database.close();
    }
    return all.filter((text) => !["", "{}"].includes(text)).join("\n");
  });

test("two tabs share a login, a reload keeps it, no script reads the refresh token, and a logout ends it in both", async (context) => {
  const bodies = [];
  context.on("response", async (answer) => answer.request().method() === "POST" && bodies.push(await answer.text().catch(() => "")));
  const count = countRefreshes(context);
  const [one, two] = [await open(context), await open(context)];
  assert.equal(count.refreshes, 1, "the first one asks, and the second knows");
  assert.deepEqual(await one.state(), { status: "logged_out", user: undefined, ended: undefined });
  await one.login();
  await two.becomes("logged_in");
  const { value, httpOnly, sameSite } = await cookieOf(context);
  assert.deepEqual([httpOnly, sameSite, value.startsWith("hp_rt_")], [true, "Strict", true]);
  for (const tab of [one, two]) {
    await tab.reload();
    assert.equal((await tab.state()).user.email, ADMIN.email);
    assert.deepEqual(await tab.call(), [200]);
    assert.doesNotMatch(await readable(tab), /hp_rt_/);
  }
  assert.equal(count.refreshes, 1, "nobody had to renew anything");
  await one.logout();
  await two.becomes("logged_out");
  assert.deepEqual([await one.ends(), await two.ends()], [["logged_out"], ["logged_out"]]);
  assert.equal(await cookieOf(context), undefined);
  await two.reload();
  assert.equal((await two.state()).ended, "logged_out");
  assert.equal(count.refreshes, 1, "a page where nobody is logged in asks no more");
  assert.ok(bodies.length >= 3);
  assert.doesNotMatch(bodies.join(), /hp_rt_/);
});

test("in memory, a reload restores the session by a refresh, and what one tab does the others do", async (context) => {
  const count = countRefreshes(context);
  const memory = { store: "memoryStore" };
  const [one, two] = [await open(context, memory), await open(context, memory)];
  await one.login();
  await two.becomes("logged_in");
  assert.equal((await two.state()).user.email, ADMIN.email);
  const before = count.refreshes;
  await one.reload();
  assert.deepEqual([(await one.state()).user.email, await one.call()], [ADMIN.email, [200]]);
  assert.equal(count.refreshes, before + 1);
  assert.equal(await readable(one), "");
  await one.login(GRACE);
  await until("the other tab has heard of it", async () => (await two.state()).user?.email === GRACE.email);
  let logouts = 0;
  context.on("request", (request) => (logouts += Number(request.method() === "POST" && request.url().includes("/auth/logout"))));
  await two.logout();
  await one.becomes("logged_out");
  assert.equal(logouts, 1, "a second one could meet the cookie of who logs in next");
  assert.deepEqual([await one.ends(), await two.ends()], [["logged_out"], ["logged_out"]]);
  await one.reload();
  assert.equal(await one.status(), "logged_out");
});

test("fifty calls at expiry in two tabs make one refresh", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await open(context), await open(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  const count = countRefreshes(context);
  for (const round of [1, 2, 3]) {
    for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
    expire();
    const answers = await Promise.all(tabs.map((tab) => tab.call(50)));
    assert.deepEqual(answers.flat(), Array(100).fill(200));
    assert.equal(count.refreshes, round);
  }
});

test("tabs that share nothing but the cookie refresh one after the other", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await open(context, { store: "memoryStore" }), await open(context, { store: "memoryStore" })];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  let [under, most] = [0, 0];
  await context.route("**/auth/refresh-token", async (route) => {
    most = Math.max(most, ++under);
    const answer = await route.fetch();
    under--;
    await route.fulfill({ response: answer });
  });
  for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
  expire();
  const answers = await Promise.all(tabs.map((tab) => tab.call(50)));
  assert.deepEqual(answers.flat(), Array(100).fill(200));
  assert.equal(most, 1);
});

test("hosts of one site share the cookie, without Web Locks as well", async (context) => {
  const expire = await expireShown(context);
  const there = { at: APP, hallpass: AUTH };
  const tabs = [await open(context, there), await open(context, there)];
  assert.equal(await tabs[0].page.evaluate(() => navigator.locks), undefined);
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const round of [1, 2, 3]) {
    for (const tab of tabs) assert.deepEqual(await tab.call(), [200], `round ${round}`);
    expire();
    const answers = await Promise.all(tabs.map((tab) => tab.call(20)));
    assert.deepEqual(answers.flat(), Array(40).fill(200));
  }
  await tabs[0].reload();
  assert.equal(await tabs[0].status(), "logged_in");
  for (const tab of tabs) assert.deepEqual(await tab.ends(), []);
});

test("a page of another site is told so, before anybody logs in", async (context) => {
  const tab = await open(context, { at: `http://${stage.here}` });
  assert.equal((await tab.state()).ended, "csrf_check_failed");
  const refused = await tab.page.evaluate((who) => session.login(who).catch(({ code }) => code), ADMIN);
  assert.equal(refused, "csrf_check_failed");
});

test("a session that ends elsewhere ends in all tabs, says why, and leaves no cookie", async (context) => {
  const tabs = [await open(context), await open(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  await endSessions(stage.hallpass);
  assert.deepEqual(await tabs[0].call(), [401]);
  for (const tab of tabs) {
    await tab.becomes("logged_out");
    assert.deepEqual(await tab.ends(), ["invalid_refresh_token"]);
  }
  assert.equal(await cookieOf(context), undefined);
});

test("another user in the cookie is who is logged in from then on", async (context) => {
  const expire = await expireShown(context);
  const tab = await open(context);
  await tab.login();
  assert.deepEqual(await tab.call(), [200]);
  // Another app of the site.
  await tab.page.evaluate(
    async ([url, who]) => {
      const headers = { "Content-Type": "application/json", "Hallpass-Mode": "cookie" };
      await fetch(`${url}/auth/login`, { method: "POST", credentials: "include", headers, body: JSON.stringify(who) });
    },
    [local(), GRACE],
  );
  expire();
  assert.deepEqual(await tab.call(), [401], "what one asked for is not sent in the other's name");
  assert.equal((await tab.state()).user.email, GRACE.email);
  assert.deepEqual([await tab.call(), await tab.ends()], [[200], []]);
});

test("a reload during an outage logs nobody out", async (context) => {
  const tab = await open(context, { store: "memoryStore" });
  await tab.login();
  await stage.hallpass.stop();
  await tab.page.reload();
  const started = tab.start();
  const status = () => tab.page.evaluate(() => window.session?.state.status);
  await until("a session", status);
  assert.equal(await status(), "restoring");
  await stage.hallpass.start();
  await started;
  await tab.becomes("logged_in");
  assert.deepEqual([await tab.call(), await tab.ends()], [[200], []]);
});

test("answers that are lost log nobody out", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await open(context), await open(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
  const { value } = await cookieOf(context);
  let losses = 2;
  await context.route("**/auth/refresh-token", async (route) => {
    if (losses-- <= 0) return route.continue();
    assert.equal((await fetch(route.request().url(), asIt(await route.request().allHeaders(), value))).status, 200);
    await route.abort();
  });
  expire();
  const answers = await Promise.all(tabs.map((tab) => tab.call(5)));
  assert.deepEqual(answers.flat(), Array(10).fill(200));
  assert.ok(losses <= 0);
  assert.notEqual((await cookieOf(context)).value, value);
  for (const tab of tabs) assert.deepEqual(await tab.ends(), []);
});

/** The same request, whose answer sets no cookie in the browser. */
function asIt({ origin }, value) {
  return { method: "POST", headers: { origin, cookie: `hallpass=${value}`, "hallpass-mode": "cookie" } };
}
