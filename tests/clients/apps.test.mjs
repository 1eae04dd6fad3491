// The app of the client's README, and the starter in examples/, as their readers run them.
//
// HALLPASS and BOOKS are programs, CHROMIUM the browser, STARTER what starts the starter.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe } from "node:test";
import { build } from "esbuild";
import { ADMIN, freePort, Hallpass, inBrowser, launch, servePages, until } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());
const test = (name, run) => inBrowser(name, () => browser, run);

describe("the app of the README", () => {
  let hallpass, server;
  before(async () => {
    hallpass = await Hallpass.start();
    const readme = await readFile(join(import.meta.dirname, "node_modules/@hallpass/client/README.md"), "utf8");
    const [, page] = readme.match(/```html\n<!-- index.html -->\n([^]*?)```/);
    const [, app] = readme.match(/```js\n\/\/ app.js\n([^]*?)```/);
    const lines = app.split("\n").filter((line) => line && !line.startsWith("import"));
    assert.ok(lines.length <= 10, `it has ${lines.length} lines`);
    const contents = app.replace("http://127.0.0.1:8080", hallpass.url);
    assert.notEqual(contents, app);
    const { outputFiles } = await build({ stdin: { contents, resolveDir: import.meta.dirname }, bundle: true, format: "esm", write: false });
    server = await servePages(({ url }) =>
      url === "/app.js"
        ? { type: "text/javascript", body: outputFiles[0].text }
        : { body: `<!doctype html><title>An app</title>${page}<script type="module" src="app.js"></script>` },
    );
  });
  after(async () => {
    server?.close();
    await hallpass?.remove();
  });

  test("logs in, survives a reload, and logs out", async (context) => {
    const page = await context.newPage();
    const says = (text) => page.locator("output").filter({ hasText: text }).waitFor();
    await page.goto(`http://localhost:${server.address().port}/`);
    await says("Log in (nobody was)");
    const logIn = async (password) => {
      await page.locator("[name=email]").fill(ADMIN.email);
      await page.locator("[name=password]").fill(password);
      await page.getByRole("button", { name: "Log in" }).click();
    };
    await logIn("wrong");
    await says("invalid_credentials");
    await logIn(ADMIN.password);
    await says(`Hello ${ADMIN.email}`);
    await page.reload();
    await says(`Hello ${ADMIN.email}`);
    await page.getByRole("button", { name: "Log out" }).click();
    await says("Log in (logged_out)");
    await page.reload();
    await says("Log in (logged_out)");
  });
});

describe("the starter", () => {
  const ADA = { email: "ada@example.com", password: "an engine weaves patterns" };
  let folder, starter, url, hallpass;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "starter-"));
    const env = {
      ...process.env,
      HALLPASS_DATA_DIR: folder,
      HALLPASS_LISTEN: "127.0.0.1:0",
      BOOKS_LISTEN: "127.0.0.1:0",
      PORT: String(await freePort()),
      // Tokens that end while the tests run.
      HALLPASS_TOKENS__ACCESS_TTL: "3s",
      HALLPASS_TOKENS__LEEWAY: "0s",
      HALLPASS_RATE_LIMITS__ENABLED: "false",
    };
    starter = spawn(process.env.STARTER, [], { env, stdio: ["ignore", "pipe", "ignore"] });
    const lines = createInterface(starter.stdout);
    for await (const line of lines) {
      hallpass ??= line.match(/^hallpass +(.*)$/)?.[1];
      url = line.match(/^the page +(.*)$/)?.[1];
      if (url) break;
    }
    assert.ok(url, "the starter has ended");
    starter.stdout.resume();
  });
  after(async () => {
    if (starter.exitCode === null) {
      starter.kill();
      await once(starter, "exit");
    }
    assert.equal(starter.exitCode, 0);
    await rm(folder, { recursive: true });
  });

  async function open(context) {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  async function enter(page, { email, password }, button) {
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: button }).click();
  }

  const shows = (page, text) => page.getByText(text).waitFor();
  const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

  test("registers, calls the books, is loaded anew, and logs out in two tabs", async (context) => {
    const page = await open(context);
    await enter(page, { ...ADA, password: "short" }, "Register");
    await page.getByRole("alert").waitFor();
    await enter(page, ADA, "Register");
    await shows(page, `Books for ${ADA.email}`);
    await shows(page, "Solaris by Stanisław Lem");
    await page.reload();
    await shows(page, "Solaris by Stanisław Lem");
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.name, cookie.httpOnly, cookie.value.startsWith("hp_rt_")], ["hallpass", true, true]);
    const other = await open(context);
    await shows(other, "Solaris by Stanisław Lem");
    await press(page, "Log out");
    for (const tab of [page, other]) await shows(tab, "You have logged out.");
    await until("the cookie is gone", async () => (await context.cookies()).length === 0);
    await other.reload();
    await shows(other, "You have logged out.");
    await enter(other, { ...ADA, password: "wrong" }, "Log in");
    await shows(other, "The e-mail address or the password is wrong.");
    await enter(other, ADA, "Log in");
    for (const tab of [page, other]) await shows(tab, `Books for ${ADA.email}`);
  });

  test("stays logged in beyond the life of its tokens", async (context) => {
    const page = await open(context);
    let refreshes = 0;
    page.on("response", (answer) => (refreshes += Number(answer.url().endsWith("/auth/refresh-token") && answer.ok())));
    await enter(page, ADMIN, "Log in");
    await shows(page, "Solaris by Stanisław Lem");
    await until("three refreshes", () => refreshes >= 3);
    const answered = page.waitForResponse((answer) => new URL(answer.url()).pathname === "/api/");
    await press(page, "Look again");
    assert.equal((await answered).status(), 200);
  });

  test("says why somebody was logged out", async (context) => {
    const page = await open(context);
    await enter(page, ADMIN, "Log in");
    await shows(page, "Solaris by Stanisław Lem");
    const elsewhere = await browser.newContext();
    try {
      const other = await open(elsewhere);
      await enter(other, ADMIN, "Log in");
      await shows(other, `Books for ${ADMIN.email}`);
      await press(other, "Log out everywhere");
      await shows(other, "You have logged out.");
    } finally {
      await elsewhere.close();
    }
    // Its token is renewed all the time, or would be.
    await shows(page, "Your session was ended from somewhere else");
    await page.reload();
    await shows(page, "Your session was ended from somewhere else");
  });

  test("sends its token to hallpass and to the books alone", async (context) => {
    const page = await open(context);
    const told = new Set();
    page.on("request", async (request) => (await request.headerValue("authorization")) && told.add(new URL(request.url()).origin));
    await enter(page, ADMIN, "Log in");
    await shows(page, "Solaris by Stanisław Lem");
    await press(page, "Log out");
    await shows(page, "You have logged out.");
    await until("both were told", () => told.size >= 2);
    assert.deepEqual([...told].sort(), [hallpass, new URL(url).origin].sort());
  });
});
