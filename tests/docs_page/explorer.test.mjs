// The docs page in a real browser: its forms, its errors, its search and its snippets.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { ADMIN, ORIGIN, PATIENCE, block, execute, inBrowser, logIn, loggedIn, open, tokens } from "./support.mjs";

const DESKTOP = { viewport: { width: 1280, height: 720 } };
/** Of an opened login, in pixels: what is read without scrolling far. */
const HEIGHT_MAX = 1200;
const CLIENT = { client_id: "books", client_secret: "books-dev-secret" };
const FORM = "application/x-www-form-urlencoded";
const DOCUMENTS = ["/docs", "/docs?document=nest.json", "/docs?document=access-tokens.json"];

/** Opens an operation. */
async function unfold(page, method, path) {
  const operation = block(page, method, path);
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".execute").waitFor();
  return operation;
}

/** The fields of an operation's form, with what is in them. */
const fields = (operation) =>
  operation.locator("tr[data-property-name]").evaluateAll((rows) =>
    Object.fromEntries(rows.map((row) => [row.dataset.propertyName, row.querySelector("input:not([type=checkbox]), select, textarea").value])));

const fill = (operation, field, value) => operation.locator(`tr[data-property-name="${field}"] input:not([type=checkbox])`).fill(value);

inBrowser("the OAuth forms work as they are filled in", async (context) => {
  const page = await open(context);
  for (const path of ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"]) {
    const operation = await unfold(page, "post", path);
    const filled = await fields(operation);
    for (const [name, value] of Object.entries(CLIENT)) assert.equal(filled[name], value, path);
    assert.equal(await execute(page, "post", path), 200, path);
  }
  assert.deepEqual(page.seen.complaints, []);
});

inBrowser("no form says \"string\"", async (context) => {
  let seen = 0;
  for (const path of DOCUMENTS) {
    const page = await open(context, ORIGIN, path);
    const name = new URL(path, ORIGIN).searchParams.get("document");
    const document = await (await fetch(new URL(name ? `openapi/${name}` : "openapi.json", ORIGIN))).json();
    for (const [place, methods] of Object.entries(document.paths)) {
      for (const [method, { requestBody }] of Object.entries(methods)) {
        if (!requestBody?.content[FORM]) continue;
        for (const [name, value] of Object.entries(await fields(await unfold(page, method, place)))) {
          seen += 1;
          // What would narrow a token is for whoever wants that to fill in.
          const isEmpty = ["resource", "audience"].includes(name);
          assert.ok((value === "") === isEmpty && value !== "string", `${place}: ${name} is ${JSON.stringify(value)}`);
        }
      }
    }
  }
  assert.ok(seen > 15, String(seen));
});

inBrowser("a client that is refused is told so on the page, which goes on", async (context) => {
  const page = await open(context);
  for (const path of ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"]) {
    const operation = await unfold(page, "post", path);
    await fill(operation, "client_secret", "wrong");
    assert.equal(await execute(page, "post", path), 401);
    assert.match(await operation.locator(".live-responses-table").innerText(), /invalid_client/);
  }
  assert.equal(await execute(page, "get", "/auth/auth-me"), 401);
  assert.equal(await execute(page, "post", "/auth/login"), 200);
});

inBrowser("a client that is refused by HTTP Basic is, too", async (context) => {
  await context.addInitScript(() => {
    const schema = { type: "http", scheme: "basic" };
    const client = { name: "ClientSecret", schema, value: { username: "books", password: "wrong" } };
    localStorage.setItem("authorized", JSON.stringify({ ClientSecret: client }));
  });
  const page = await open(context);
  const operation = await unfold(page, "post", "/oauth2/token");
  // A client shows who it is in one way: what is empty is not sent.
  for (const name of Object.keys(CLIENT)) await fill(operation, name, "");
  const asked = page.waitForRequest((request) => request.url().endsWith("/oauth2/token"));
  assert.equal(await execute(page, "post", "/oauth2/token"), 401);
  assert.match(await (await asked).headerValue("authorization"), /^Basic /);
  assert.doesNotMatch((await asked).postData(), /client_(id|secret)=/);
  const answered = await (await asked).response();
  assert.match(await answered.headerValue("www-authenticate"), /^Basic /);
  assert.equal(await execute(page, "get", "/auth/auth-me"), 401);
});

inBrowser("nothing goes along with a request that the page does not show", async (context) => {
  await context.addCookies([{ name: "of", value: "another-service", url: ORIGIN }]);
  const page = await open(context);
  const asked = [];
  page.on("request", async (request) => {
    const { cookie, "hallpass-mode": mode } = await request.allHeaders();
    asked.push([new URL(request.url()).pathname, mode, cookie]);
  });
  await logIn(page);
  await loggedIn(page);
  assert.equal(await execute(page, "get", "/auth/auth-me"), 200);
  assert.equal(await execute(page, "post", "/oauth2/token"), 200);
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.locator("#login").waitFor();
  assert.equal(await execute(page, "post", "/auth/login"), 200);
  assert.equal(await execute(page, "post", "/auth/refresh-token"), 200);
  assert.equal(await execute(page, "post", "/auth/logout"), 200);
  const operations = asked.filter(([path]) => !path.startsWith("/docs"));
  assert.ok(["/auth/login", "/auth/auth-me", "/oauth2/token", "/auth/logout"].every((path) => operations.some(([asked]) => asked === path)));
  // The page's own login, which has its refresh token in a cookie, alone.
  const withCookies = operations.filter(([, , cookie]) => cookie);
  assert.deepEqual(withCookies.filter(([, mode]) => mode !== "cookie"), []);
  const paths = new Set(withCookies.map(([path]) => path));
  paths.delete("/auth/refresh-token"); // where that took long
  assert.deepEqual(paths, new Set(["/auth/login", "/auth/logout"]));
  assert.ok(operations.some(([path, mode]) => path === "/auth/login" && !mode));
});

inBrowser("the development account is filled in, in every document", async (context) => {
  for (const [path, login] of [[DOCUMENTS[0], "/auth/login"], [DOCUMENTS[1], "/auth/signin"], [DOCUMENTS[2], "/access-tokens"]]) {
    const page = await open(context, ORIGIN, path);
    assert.equal(await page.getByLabel("E-mail").inputValue(), ADMIN.email);
    assert.ok(await page.locator("#sample-account").isVisible());
    await page.locator("#login").getByRole("button").click();
    await loggedIn(page);
    assert.equal(await page.locator("#sample-account").isVisible(), false);
    await page.getByRole("button", { name: "Log out", exact: true }).click();
    await page.locator("#login").waitFor();
    assert.equal(await execute(page, "post", login), 200, login);
    await loggedIn(page);
    await page.reload();
    await loggedIn(page);
    await page.getByRole("button", { name: "Log out", exact: true }).click();
    await page.locator("#login").waitFor();
    assert.equal((await tokens(page)).access, undefined);
  }
  const page = await open(context, ORIGIN, DOCUMENTS[1]);
  const signUp = await unfold(page, "post", "/auth/signup");
  assert.doesNotMatch(await signUp.locator("textarea").inputValue(), /johndoe/, "an account that is there cannot be made");
});

inBrowser("an opened login is short: its errors take a line each, until one is opened", async (context) => {
  for (const [path, login] of [[DOCUMENTS[0], "/auth/login"], [DOCUMENTS[1], "/auth/signin"], [DOCUMENTS[2], "/access-tokens"]]) {
    const page = await open(context, ORIGIN, path);
    const operation = await unfold(page, "post", login);
    const { height } = await operation.boundingBox();
    assert.ok(height <= HEIGHT_MAX, `${login} is ${height} px high`);
    const folds = operation.locator(".fold");
    assert.ok((await folds.count()) >= 7);
    for (const fold of await folds.all()) {
      assert.equal(await fold.getAttribute("aria-expanded"), "false");
      const { height } = await fold.boundingBox();
      assert.ok(height < 40, `${await fold.textContent()} is ${height} px high`);
    }
  }
}, DESKTOP);

inBrowser("each error of an OAuth operation shows an example of its own", async (context) => {
  const page = await open(context);
  const operation = await unfold(page, "post", "/oauth2/token");
  for (const [status, error] of [["400", "invalid_request"], ["401", "invalid_client"], ["429", "rate_limited"], ["500", "server_error"], ["503", "temporarily_unavailable"]]) {
    await operation.locator("tr.folded").filter({ hasText: status }).locator(".fold").click();
    const shown = operation.locator(`tr.unfolded[data-code="${status}"]`);
    assert.equal(JSON.parse(await shown.locator(".example code").first().innerText()).error, error, status);
  }
  const first = operation.locator(".fold").first();
  await first.click();
  assert.equal(await operation.locator("tr.unfolded[data-code=\"400\"]").count(), 0);
});

inBrowser("a search finds operations by any words of theirs", async (context) => {
  const page = await open(context);
  const search = page.getByLabel("Search operations");
  const shown = () => page.locator(".opblock").evaluateAll((all) =>
    all.map((one) => `${one.querySelector(".opblock-summary-method").textContent} ${one.querySelector("[data-path]").dataset.path}`));
  const all = await shown();
  for (const [words, expected] of [
    ["introspect", ["POST /oauth2/introspect"]],
    ["TOKEN  oauth2 revoke", ["POST /oauth2/revoke"]],
    ["delete clients", all.filter((name) => /^DELETE .*clients/.test(name))],
    ["who am i", ["GET /auth/auth-me", "POST /auth/auth-me"].filter((name) => all.includes(name))],
    ["revocations", all.filter((name) => /revocations/.test(name))],
    ["no such words", []],
    ["", all],
  ]) {
    await search.fill(words);
    const end = Date.now() + PATIENCE;
    for (;;) {
      const now = await shown();
      if (expected.every((name) => now.includes(name)) && now.length < all.length === (words !== "")) break;
      assert.ok(Date.now() < end, `${words}: ${now}`);
      await page.waitForTimeout(20);
    }
    const now = await shown();
    if (words !== "revocations") assert.deepEqual(now, expected, words);
    const said = { 0: "No operations", 1: "1 operation" }[now.length] ?? `${now.length} operations`;
    assert.equal(await page.locator(".search [role=status]").textContent(), words ? said : "");
    assert.equal(await page.getByText("No operations defined").count(), 0);
  }
  // A step at the top leads to its operation, whatever was searched for.
  await search.fill("clients");
  await page.getByRole("link", { name: "Ask who you are" }).click();
  await block(page, "get", "/auth/auth-me").locator(".execute").waitFor();
});

inBrowser("a request is there as a program, in three languages, that does the same", async (context) => {
  const page = await open(context);
  await logIn(page);
  await loggedIn(page);
  const run = {
    curl: (text) => execFileSync("bash", ["-c", text.replace("curl -X", "curl -sS -w ' %{http_code}' -X")], { encoding: "utf8" }),
    JavaScript: (text) => execFileSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" }),
    Python: (text) => execFileSync(process.env.SNIPPETS_PYTHON, ["-c", text], { encoding: "utf8" }),
  };
  const register = await unfold(page, "post", "/auth/register");
  for (const [method, path, status, said] of [
    ["post", "/oauth2/token", 200, "revocations:read"],
    ["post", "/auth/register", 409, "email_taken"],
    ["get", "/health/live", 200, "live"],
  ]) {
    if (path === "/auth/register") {
      const body = { email: ADMIN.email, password: "it's \"quoted\" \\ \u00e9 \ud83d\ude80", first_name: null };
      await register.locator("textarea").fill(JSON.stringify(body, null, 2));
    }
    assert.equal(await execute(page, method, path), status);
    const operation = block(page, method, path);
    for (const [language, runs] of Object.entries(run)) {
      const tab = operation.getByRole("button", { name: language, exact: true });
      await tab.click();
      assert.equal(await tab.getAttribute("aria-pressed"), "true");
      const output = runs(await operation.locator(".snippets pre").innerText());
      assert.match(output, new RegExp(`\\b${status}\\b`), `${language} ${path}: ${output}`);
      assert.match(output, new RegExp(said), `${language} ${path}: ${output}`);
    }
  }
  // The language that was chosen last comes first from then on.
  await page.reload();
  await execute(page, "get", "/health/live");
  const tab = block(page, "get", "/health/live").getByRole("button", { name: "Python", exact: true });
  assert.equal(await tab.getAttribute("aria-pressed"), "true");
});

inBrowser("what the page is made of comes packed", async (context) => {
  const page = await context.newPage();
  const sizes = {};
  page.on("requestfinished", async (request) => {
    const [response, { responseBodySize }] = [await request.response(), await request.sizes()];
    sizes[new URL(request.url()).pathname] = { coding: response.headers()["content-encoding"], size: responseBodySize };
  });
  await page.goto(`${ORIGIN}/docs`);
  await page.locator(".opblock").first().waitFor();
  await page.waitForLoadState("networkidle");
  for (const path of ["/docs", "/openapi.json", "/docs/docs.js", "/docs/docs.css", "/docs/swagger-ui-bundle.js"]) {
    assert.equal(sizes[path]?.coding, "gzip", path);
  }
  assert.ok(sizes["/openapi.json"].size < 60_000, JSON.stringify(sizes["/openapi.json"]));
});
