// The docs page in a real browser: what people see and do there, on both names of this machine.

import assert from "node:assert/strict";
import { ACCESS_TTL, ADMIN, ORIGIN, ORIGINS, OTHER_ORIGIN, PATIENCE, block, cookie, execute, inBrowser, logIn, loggedIn, open, tokens } from "./support.mjs";

const PHONE = { width: 390, height: 844 };

const claims = (access) => JSON.parse(Buffer.from(access.split(".")[1], "base64url"));

/** Waits until the page's access token was issued when `span` seconds of `since`'s life or more were over. */
async function issuedAfter(page, since, span) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const { access } = await tokens(page);
    if (access && claims(access).iat >= claims(since).iat + span) return access;
    assert.ok(Date.now() < end, "no new access token");
    await page.waitForTimeout(50);
  }
}

const me = (access) => fetch(`${ORIGIN}/users/me`, { headers: { Authorization: `Bearer ${access}` } });

for (const origin of ORIGINS) {
  inBrowser(`it opens at ${origin}, whole and by itself`, async (context) => {
    const page = await open(context, origin);
    assert.equal(await page.title(), "hallpass API");
    const icon = await page.locator("link[rel=icon]").evaluate((link) => fetch(link.href).then((answer) => answer.status));
    assert.equal(icon, 200);
    const document = await (await fetch(`${origin}/openapi.json`)).json();
    const operations = Object.values(document.paths).flatMap((path) => Object.keys(path)).length;
    assert.equal(await page.locator(".opblock").count(), operations);

    const policy = page.response.headers()["content-security-policy"];
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    const foreign = page.seen.requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith("data:"));
    assert.deepEqual(foreign, []);
    assert.deepEqual(page.seen.complaints, []);
  });

  inBrowser(`"Try it out" takes one from login to logout at ${origin}`, async (context) => {
    const page = await open(context, origin);
    assert.equal(await execute(page, "get", "/auth/auth-me"), 401);
    assert.equal(await execute(page, "post", "/auth/login"), 200);
    await loggedIn(page);
    const first = await tokens(page);
    assert.equal(await execute(page, "get", "/auth/auth-me"), 200);
    assert.equal(await execute(page, "post", "/auth/refresh-token"), 200);
    const second = await tokens(page);
    assert.notEqual(second.refresh, first.refresh);
    assert.equal(await execute(page, "get", "/auth/auth-me"), 200);
    assert.equal(await execute(page, "post", "/auth/logout"), 200);
    await page.locator("#login").waitFor();
    assert.equal(await execute(page, "get", "/auth/auth-me"), 401);
    assert.equal((await me(second.access)).status, 401);
    assert.deepEqual(page.seen.complaints, []);
  });
}

inBrowser("the switch leads to the other documents, and the tokens go along", async (context) => {
  const page = await open(context);
  await logIn(page);
  await loggedIn(page);
  const links = await page.locator(".documents a").allTextContents();
  assert.ok(links.length >= 3, String(links));
  for (const [text, path] of [["Nest", "/users/me"], ["access-tokens", "/me"], ["Main", "/users/me"]]) {
    await page.locator(".documents a").filter({ hasText: new RegExp(text, "i") }).click();
    await block(page, "get", path).waitFor();
    await loggedIn(page);
    assert.equal(await execute(page, "get", path), 200);
    await issuedAfter(page, (await tokens(page)).access, ACCESS_TTL);
    assert.equal(await execute(page, "get", path), 200);
  }
});

inBrowser("a wrong password is said where it was given", async (context) => {
  const page = await open(context);
  await logIn(page, { ...ADMIN, password: "wrong" });
  await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
  assert.equal((await tokens(page)).access, undefined);
  await logIn(page);
  await loggedIn(page);
  assert.equal(await page.locator("#login-message").textContent(), "");
});

inBrowser("exploring goes on past three expiries, in two tabs at once and after a reload", async (context) => {
  const [page, other] = [await open(context), await open(context)];
  await logIn(page);
  await Promise.all([page, other].map(loggedIn));
  const { access: first } = await tokens(page);
  const last = await issuedAfter(page, first, 3 * ACCESS_TTL);
  assert.equal((await me(first)).status, 401, "the first one has expired");
  assert.equal((await me(last)).status, 200);
  for (const tab of [page, other]) {
    assert.equal(await execute(tab, "get", "/users/me"), 200);
    assert.equal(await execute(tab, "post", "/auth/refresh-token"), 200);
  }
  await page.reload();
  await loggedIn(page);
  const reloaded = (await tokens(page)).access;
  await issuedAfter(page, reloaded, ACCESS_TTL);
  assert.equal(await execute(page, "get", "/users/me"), 200);
  assert.equal(await execute(other, "get", "/users/me"), 200);
});

inBrowser("a tab that slept has its tokens replaced before they are used", async (context) => {
  // Its timers do not fire.
  await context.addInitScript(() => {
    const { setTimeout } = window;
    window.setTimeout = (task, after, ...rest) => (after >= 1000 ? 0 : setTimeout(task, after, ...rest));
  });
  const page = await open(context);
  await logIn(page);
  await loggedIn(page);
  const { access } = await tokens(page);
  const end = Date.now() + PATIENCE;
  while ((await me(access)).status === 200) {
    assert.ok(Date.now() < end, "it does not expire");
    await page.waitForTimeout(100);
  }
  assert.equal((await tokens(page)).access, access);
  assert.equal(await execute(page, "get", "/users/me"), 200);
  assert.notEqual((await tokens(page)).access, access);
});

inBrowser("the page logs out, and notices when somebody else does", async (context) => {
  const page = await open(context);
  await logIn(page);
  await loggedIn(page);
  const { access } = await tokens(page);
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.locator("#login").waitFor();
  assert.equal((await me(access)).status, 401);

  assert.equal(await cookie(context), undefined);

  await logIn(page);
  await loggedIn(page);
  const { value } = await cookie(context);
  const ended = await fetch(`${ORIGIN}/auth/logout`, { method: "POST", headers: { "X-Refresh-Token": value } });
  assert.equal(ended.status, 200);
  await page.getByRole("alert").filter({ hasText: "Your session is over" }).waitFor();
  assert.equal(await page.locator("#login").isVisible(), true);
  assert.equal(await cookie(context), undefined);
});

inBrowser("no script reads the refresh token of a login at the top, and a reload stays logged in without it", async (context) => {
  const page = await open(context);
  const answers = [];
  page.on("response", async (answer) => answer.request().method() === "POST" && answers.push(await answer.text().catch(() => "")));
  await logIn(page);
  await loggedIn(page);
  const { access } = await tokens(page);
  assert.equal((await tokens(page)).refresh, undefined);
  const { httpOnly, sameSite, value } = await cookie(context);
  assert.deepEqual([httpOnly, sameSite, value.startsWith("hp_rt_")], [true, "Strict", true]);
  await page.reload();
  await loggedIn(page);
  await issuedAfter(page, access, ACCESS_TTL);
  assert.equal(await execute(page, "get", "/users/me"), 200);
  assert.equal(await execute(page, "post", "/auth/refresh-token"), 200);
  await loggedIn(page);
  assert.equal(await execute(page, "post", "/auth/logout"), 200);
  await page.locator("#login").waitFor();
  assert.equal(await cookie(context), undefined);
  assert.ok(answers.length >= 3);
  const readable = await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.doesNotMatch(answers.join() + readable + (await page.content()), new RegExp(`${value}|"refreshToken": ?"hp_rt_`));
});

inBrowser("a login below hands out its tokens, and those count", async (context) => {
  const page = await open(context);
  await logIn(page);
  await loggedIn(page);
  const first = await cookie(context);
  assert.equal(await execute(page, "post", "/auth/login"), 200);
  const { refresh } = await tokens(page);
  assert.match(refresh, /^hp_rt_/);
  const [before, asked] = [(await tokens(page)).access, page.waitForRequest((request) => request.url().endsWith("/auth/refresh-token"))];
  await issuedAfter(page, before, ACCESS_TTL);
  assert.equal(await (await asked).headerValue("x-refresh-token"), refresh);
  assert.equal(await (await asked).headerValue("hallpass-mode"), null);
  assert.equal((await cookie(context)).value, first.value);
  // And the other way round.
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await logIn(page);
  await loggedIn(page);
  assert.equal((await tokens(page)).refresh, undefined);
  assert.notEqual((await cookie(context)).value, first.value);
});

inBrowser("by a name that is not the service's own, which gets no cookie, the page logs in by tokens", async (context) => {
  const page = await open(context, OTHER_ORIGIN);
  await logIn(page, { ...ADMIN, password: "wrong" });
  await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
  await logIn(page);
  await loggedIn(page);
  assert.match((await tokens(page)).refresh, /^hp_rt_/);
  assert.deepEqual(await context.cookies(), []);
  await issuedAfter(page, (await tokens(page)).access, ACCESS_TTL);
  await page.reload();
  await loggedIn(page);
  assert.equal(await execute(page, "get", "/users/me"), 200);
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.locator("#login").waitFor();
});

inBrowser(
  "it is readable at phone width",
  async (context) => {
    const page = await open(context);
    await logIn(page);
    await loggedIn(page);
    await execute(page, "get", "/auth/auth-me");
    await execute(page, "get", "/users");
    const { content, screen } = await page.evaluate(() => ({
      content: document.documentElement.scrollWidth,
      screen: window.innerWidth,
    }));
    assert.ok(content <= screen, `${content} px of content on ${screen} px`);
    for (const text of await page.locator(".opblock-summary-path, .steps strong").all()) {
      const box = await text.boundingBox();
      assert.ok(!box || (box.x >= 0 && box.x + box.width <= screen), JSON.stringify(box));
    }
  },
  { viewport: PHONE, isMobile: true, hasTouch: true },
);

if (process.env.SCREENSHOTS) {
  for (const [name, options] of [
    ["screenshot-docs-page", { viewport: { width: 1280, height: 1500 } }],
    ["screenshot-docs-page-phone", { viewport: { width: 390, height: 1100 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }],
  ]) {
    inBrowser(
      `picture ${name}`,
      async (context) => {
        const page = await open(context);
        await logIn(page);
        await loggedIn(page);
        await execute(page, "get", "/auth/auth-me");
        await page.evaluate(() => window.scrollTo(0, 0));
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
      },
      options,
    );
  }
}
