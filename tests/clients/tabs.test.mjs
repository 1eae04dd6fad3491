// @hallpass/client in the tabs of a real browser, beside a hallpass of its own.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ADMIN, inBrowser, launch, until } from "./browser.mjs";
import { countRefreshes, endSessions, expireShown, Stage, Tab } from "./tabs.mjs";

/** Longer than access tokens live, in milliseconds. */
const LID = 8 * 60 * 60 * 1000;
/** A page on plain http has no Web Locks, but for localhost. */
const PLAIN = "http://app.test";

let stage, browser;
before(async () => {
  stage = await Stage.open({ HALLPASS_CORS__ORIGINS: PLAIN });
  browser = await launch([`MAP app.test:80 ${stage.here}`]);
});
after(async () => {
  await browser?.close();
  await stage?.close();
});

const openTab = (context, { at = stage.origin, store = "browserStore" } = {}) => Tab.open(context, at, stage.hallpass.url, { store });

const test = (name, run) => inBrowser(name, () => browser, run);

test("two tabs share a login, a reload keeps it, and a logout ends it in both", async (context) => {
  const count = countRefreshes(context);
  const [one, two] = [await openTab(context), await openTab(context)];
  assert.deepEqual(await one.state(), { status: "logged_out", user: undefined, ended: undefined });
  await one.login();
  await two.becomes("logged_in");
  assert.equal((await two.state()).user.email, ADMIN.email);
  await one.reload();
  assert.equal(await one.status(), "logged_in");
  assert.deepEqual([await one.call(), await two.call()], [[200], [200]]);
  assert.equal(count.refreshes, 0, "nobody had to renew anything");
  await one.logout();
  await two.becomes("logged_out");
  assert.deepEqual([await one.ends(), await two.ends()], [["logged_out"], ["logged_out"]]);
  assert.deepEqual(await two.call(), [401]);
  await two.reload();
  assert.equal((await two.state()).ended, "logged_out", "it can be said after a reload as well");
});

test("tabs that share localStorage stay logged in, and log out together", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await openTab(context, { store: "localStore" }), await openTab(context, { store: "localStore" })];
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
  await tabs[1].logout();
  for (const tab of tabs) await tab.becomes("logged_out");
  // What the storage itself says is heard as well: it may say so later than the tab does.
  await tabs[0].page.evaluate(() => localStorage.setItem(localStorage.key(0), '{"ended":"session_evicted"}'));
  await until("another reason", async () => (await tabs[1].state()).ended === "session_evicted");
  assert.doesNotMatch(await tabs[0].page.evaluate(() => JSON.stringify(localStorage)), /hp_rt_/);
});

test("fifty calls at expiry in two tabs make one refresh", async (context) => {
  const count = countRefreshes(context);
  const expire = await expireShown(context);
  const tabs = [await openTab(context), await openTab(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const round of [1, 2, 3]) {
    for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
    expire();
    const answers = await Promise.all(tabs.map((tab) => tab.call(50)));
    assert.deepEqual(answers.flat(), Array(100).fill(200));
    assert.equal(count.refreshes, round);
  }
});

test("a lid that is closed and opened logs nobody out, on a network that is late as well", async (context) => {
  const count = countRefreshes(context);
  await context.clock.install(); // of all its tabs
  const tabs = [await openTab(context), await openTab(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  // Timers are late and all tabs wake at once.
  await context.clock.fastForward(LID);
  for (const tab of tabs) assert.deepEqual(await tab.call(50), Array(50).fill(200));
  assert.equal(count.refreshes, 1);
  await context.setOffline(true);
  await context.clock.fastForward(LID);
  let answers;
  Promise.all(tabs.map((tab) => tab.call())).then((all) => (answers = all));
  await until("the calls give up", async () => {
    await context.clock.runFor(2000);
    return answers;
  });
  assert.deepEqual(answers, [["unreachable"], ["unreachable"]]);
  assert.deepEqual([await tabs[0].status(), await tabs[1].status()], ["logged_in", "logged_in"]);
  const before = count.refreshes;
  await context.setOffline(false);
  await until("the tabs renew their token by themselves", () => count.refreshes > before);
  for (const tab of tabs) assert.deepEqual([await tab.call(), await tab.ends()], [[200], []]);
});

test("a token is renewed ahead of time while somebody is looking", async (context) => {
  const count = countRefreshes(context);
  await context.clock.install();
  const tab = await openTab(context);
  await tab.login();
  await context.clock.fastForward(13 * 60 * 1000);
  const token = () => tab.page.evaluate(async () => (await session.access()).token);
  const first = await token();
  assert.equal(count.refreshes, 0);
  await context.clock.fastForward(2 * 60 * 1000);
  await until("a refresh", () => count.refreshes === 1); // by itself: nobody calls
  await until("another token", async () => (await token()) !== first);
  assert.equal(count.refreshes, 1);
  // A page that hears of it late, or is busy with it, while the timer is over.
  await tab.page.evaluate(() => void Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true }));
  await context.clock.fastForward(LID);
  // Whatever a timer has begun holds a lock until it is over.
  await until("nothing goes on", () => tab.page.evaluate(async () => !Object.values(await navigator.locks.query()).flat().length));
  assert.deepEqual([await tab.status(), count.refreshes], ["logged_in", 1], "nobody is looking");
  await tab.page.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until("another refresh", () => count.refreshes > 1);
});

test("answers that are lost log nobody out", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await openTab(context), await openTab(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
  let losses = 2;
  await context.route("**/auth/refresh-token", async (route) => {
    if (losses-- <= 0) return route.continue();
    assert.equal((await route.fetch()).status(), 200, "hallpass has carried it out");
    await route.abort();
  });
  expire();
  const answers = await Promise.all(tabs.map((tab) => tab.call(5)));
  assert.deepEqual(answers.flat(), Array(10).fill(200));
  assert.ok(losses <= 0);
  for (const tab of tabs) assert.deepEqual(await tab.ends(), []);
});

test("a service that starts anew logs nobody out", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await openTab(context), await openTab(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const tab of tabs) assert.deepEqual(await tab.call(), [200]);
  expire();
  await stage.hallpass.stop();
  const during = tabs.map((tab) => tab.call(5));
  await stage.hallpass.start();
  await Promise.all(during);
  for (const tab of tabs) {
    await until("the API answers", async () => (await tab.call())[0] === 200);
    assert.deepEqual([await tab.status(), await tab.ends()], ["logged_in", []]);
  }
});

test("a tab that closes in the middle of a refresh keeps no other waiting", async (context) => {
  const expire = await expireShown(context);
  const [one, two] = [await openTab(context), await openTab(context)];
  await one.login();
  await two.becomes("logged_in");
  assert.deepEqual(await one.call(), [200]);
  expire();
  const asked = new Promise((asked) => one.page.route("**/auth/refresh-token", asked)); // and not answered
  one.call().catch(() => {});
  await asked;
  const waiting = two.call(3);
  await one.page.close();
  assert.deepEqual(await waiting, [200, 200, 200]);
});

test("a session that ends elsewhere ends in all tabs, and says why", async (context) => {
  const tabs = [await openTab(context), await openTab(context)];
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  await endSessions(stage.hallpass);
  assert.deepEqual(await tabs[0].call(), [401]);
  for (const tab of tabs) {
    await tab.becomes("logged_out");
    assert.deepEqual(await tab.ends(), ["invalid_refresh_token"]);
  }
});

test("tabs without Web Locks that refresh at once stay logged in", async (context) => {
  const expire = await expireShown(context);
  const tabs = [await openTab(context, { at: PLAIN }), await openTab(context, { at: PLAIN })];
  assert.equal(await tabs[0].page.evaluate(() => navigator.locks), undefined);
  await tabs[0].login();
  await tabs[1].becomes("logged_in");
  for (const round of [1, 2, 3]) {
    for (const tab of tabs) assert.deepEqual(await tab.call(), [200], `round ${round}`);
    expire();
    const answers = await Promise.all(tabs.map((tab) => tab.call(20)));
    assert.deepEqual(answers.flat(), Array(40).fill(200));
  }
  for (const tab of tabs) assert.deepEqual(await tab.ends(), []);
});

test("in memory a session ends with its page, and with the others at a logout", async (context) => {
  const [one, two] = [await openTab(context, { store: "memoryStore" }), await openTab(context, { store: "memoryStore" })];
  await one.login();
  await two.login();
  assert.equal(await one.page.evaluate(() => localStorage.length), 0);
  const ended = two.page.waitForResponse((response) => response.url().includes("/auth/logout"));
  await one.logout();
  await two.becomes("logged_out");
  assert.equal((await ended).status(), 200, "its session is over at hallpass as well");
  await one.login();
  await one.reload();
  assert.equal(await one.status(), "logged_out");
});

test("the token goes nowhere else, by a redirect neither", async (context) => {
  const tab = await openTab(context);
  await tab.login();
  assert.match(await tab.get(`${stage.origin}/echo`), /^Bearer /);
  assert.equal(await tab.get(`http://${stage.here}/echo`), "none");
  assert.equal(await tab.get(`${stage.origin}/elsewhere`), "none");
});
