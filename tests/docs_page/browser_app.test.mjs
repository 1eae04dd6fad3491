// A page on another origin in a real browser, with the very modules of docs/browser.md: it logs in, calls the API,
// refreshes and logs out. A page that is not listed reads nothing, and one of another site has no cookie.
//
// HALLPASS_URL is a `hallpass dev` with `cors.origins` = APP_ORIGIN, whose access tokens live for ACCESS_TTL
// seconds, without leeway; GUIDE is docs/browser.md; CHROMIUM the browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const HALLPASS = process.env.HALLPASS_URL;
const ACCESS_TTL = Number(process.env.ACCESS_TTL);
const APP = new URL(process.env.APP_ORIGIN);
const STRANGER = "http://stranger.test";
const ADMIN = { email: "johndoe@example.com", password: "password" };
const PATIENCE = 30_000;

/** To a browser it is of the site of `localhost`, and 127.0.0.1 is another one. */
const LOCAL = HALLPASS.replace("127.0.0.1", "localhost");

function moduleOf(name, hallpass) {
  const [, block] = readFileSync(process.env.GUIDE, "utf8").match(new RegExp("```js\\n// " + name + "\\n([^]*?)```"));
  const module = block.replace(/^const HALLPASS = .*;$/m, `const HALLPASS = ${JSON.stringify(hallpass)};`);
  assert.match(module, new RegExp(hallpass));
  return module;
}
const MODULES = { "/session.js": moduleOf("session.js", HALLPASS), "/cookies.js": moduleOf("cookies.js", LOCAL) };
const PAGE = `<!doctype html><title>An app</title><script type="module">
  import * as session from "/session.js";
  import * as cookies from "/cookies.js";
  Object.assign(window, { session, cookies });
</script>`;

let server, browser;
before(async () => {
  server = createServer((request, response) => {
    const module = MODULES[request.url];
    const [type, body] = module ? ["text/javascript", module] : ["text/html", PAGE];
    response.writeHead(200, { "Content-Type": type }).end(body);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const here = `127.0.0.1:${server.address().port}`;
  const names = [APP.hostname, new URL(STRANGER).hostname].map((name) => `MAP ${name}:80 ${here}`);
  const args = [`--host-resolver-rules=${names.join(",")}`, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
});
after(async () => {
  await browser?.close();
  server?.close();
});

/** A test with the app's page at an origin, in a browser of nobody before. */
function inPage(name, origin, run) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE);
    try {
      const page = await context.newPage();
      await page.goto(origin());
      await page.waitForFunction(() => window.session);
      assert.equal(await page.evaluate(() => location.origin), origin());
      await run(page);
    } finally {
      await context.close();
    }
  });
}

const logIn = (page, { email, password } = ADMIN) =>
  page.evaluate(
    ([email, password]) =>
      window.session.logIn(email, password).catch(({ name, status, code }) => ({ name, status, code })),
    [email, password],
  );

/** Who the API says one is, and with which token it was asked. */
const me = (page) =>
  page.evaluate(async (url) => {
    let token;
    const { fetch } = window;
    window.fetch = (target, options) => {
      if (target === url) token = options.headers.get("Authorization");
      return fetch(target, options);
    };
    try {
      const answer = await window.session.fetchLoggedIn(url);
      return { status: answer.status, id: answer.headers.get("X-Request-Id"), email: (await answer.json()).email, token };
    } catch ({ status, code }) {
      return { status, code };
    } finally {
      window.fetch = fetch;
    }
  }, `${HALLPASS}/users/me`);

/** Asks without a browser. */
const status = async (authorization) =>
  (await fetch(`${HALLPASS}/users/me`, { headers: { Authorization: authorization } })).status;

async function expired(authorization) {
  const end = Date.now() + PATIENCE;
  while ((await status(authorization)) === 200) {
    assert.ok(Date.now() < end, "the token does not expire");
    await new Promise((soon) => setTimeout(soon, 100));
  }
}

for (const [name, origin] of [
  ["a page of a listed origin", () => APP.origin],
  ["a page on another port of this machine", () => `http://localhost:${server.address().port}`],
]) {
  inPage(`${name} logs in, calls the API, refreshes, is loaded anew and logs out`, origin, async (page) => {
    assert.deepEqual(await logIn(page, { ...ADMIN, password: "wrong" }), {
      name: "Error",
      status: 401,
      code: "invalid_credentials",
    });
    assert.equal((await logIn(page)).email, ADMIN.email);
    const first = await me(page);
    assert.deepEqual([first.status, first.email], [200, ADMIN.email]);
    assert.match(first.id, /./, "a header that is exposed");

    await expired(first.token);
    const second = await me(page);
    assert.deepEqual([second.status, second.email], [200, ADMIN.email]);
    assert.notEqual(second.token, first.token);

    await page.reload();
    await page.waitForFunction(() => window.session);
    assert.equal(await page.evaluate(() => window.session.isLoggedIn()), true);
    const third = await me(page);
    assert.equal(third.status, 200);
    assert.notEqual(third.token, second.token);

    await page.evaluate(() => window.session.logOut());
    assert.equal(await status(third.token), 401);
    assert.deepEqual(await me(page), { status: 401, code: "authentication_required" });
    assert.deepEqual(await page.context().cookies(), []);
  });
}

inPage("two tabs that refresh at once stay logged in", () => APP.origin, async (page) => {
  await logIn(page);
  const { token } = await me(page);
  const other = await page.context().newPage();
  await other.goto(APP.origin);
  await other.waitForFunction(() => window.session);
  await expired(token);
  for (const asked of await Promise.all([page, other, page].map(me))) assert.equal(asked.status, 200);
  for (const tab of [page, other]) assert.equal((await me(tab)).email, ADMIN.email);
});

/** What a function of cookies.js answers, or what it throws. */
const byCookie = (page, name, ...values) =>
  page.evaluate(
    ([name, values]) => window.cookies[name](...values).catch(({ status, code }) => ({ status, code })),
    [name, values],
  );

inPage("a page of the same site stays logged in by a cookie that it cannot read", () => `http://localhost:${server.address().port}`, async (page) => {
  assert.deepEqual(await byCookie(page, "logIn", ADMIN.email, "wrong"), { status: 401, code: "invalid_credentials" });
  const login = await byCookie(page, "logIn", ADMIN.email, ADMIN.password);
  assert.deepEqual([login.user.email, login.refreshToken], [ADMIN.email, ""]);
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.equal(await page.evaluate(() => document.cookie), "");
  await page.reload();
  await page.waitForFunction(() => window.cookies);
  const { accessToken, refreshToken } = await byCookie(page, "refresh");
  assert.deepEqual([await status(`Bearer ${accessToken}`), refreshToken], [200, ""]);
  assert.notEqual((await page.context().cookies())[0].value, cookie.value);
  await byCookie(page, "logOut");
  assert.equal(await status(`Bearer ${accessToken}`), 401);
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(await byCookie(page, "refresh"), { status: 401, code: "authentication_required" });
});

inPage("a page of another site is told that it has no cookie", () => `http://127.0.0.1:${server.address().port}`, async (page) => {
  assert.deepEqual(await byCookie(page, "logIn", ADMIN.email, ADMIN.password), { status: 403, code: "csrf_check_failed" });
  assert.deepEqual(await page.context().cookies(), []);
});

inPage("a page that is not listed reads nothing", () => STRANGER, async (page) => {
  assert.equal((await logIn(page)).name, "TypeError", "the browser keeps the answer to itself");
  const [keys, answer] = await page.evaluate(
    (hallpass) =>
      Promise.all([
        fetch(`${hallpass}/.well-known/jwks.json`).then(({ status }) => status),
        fetch(`${hallpass}/health/live`).then(({ status }) => status, ({ name }) => name),
      ]),
    HALLPASS,
  );
  assert.deepEqual([keys, answer], [200, "TypeError"]);
});
