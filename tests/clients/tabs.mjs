// What the tests share that open tabs: pages beside a hallpass of their own, and what is done in them.

import assert from "node:assert/strict";
import { build } from "esbuild";
import { ADMIN, Hallpass, servePages, until } from "./browser.mjs";

/** A hallpass, and a server of pages that have the client at /client.js. */
export class Stage {
  static async open(settings) {
    const stage = new Stage();
    stage.hallpass = await Hallpass.start(settings);
    const contents = 'export * from "@hallpass/client"';
    const { outputFiles } = await build({ stdin: { contents, resolveDir: import.meta.dirname }, bundle: true, format: "esm", write: false });
    stage.script = outputFiles[0].text;
    stage.server = await servePages((request) => stage.#answer(request));
    return stage;
  }

  async close() {
    this.server?.close();
    await this.hallpass?.remove();
  }

  get port() {
    return this.server.address().port;
  }

  get origin() {
    return `http://localhost:${this.port}`;
  }

  /** The same by another name, and so another origin. */
  get here() {
    return `127.0.0.1:${this.port}`;
  }

  #answer({ url, headers }) {
    const cors = { "Access-Control-Allow-Origin": headers.origin ?? "*", "Access-Control-Allow-Headers": "authorization" };
    switch (new URL(url, "http://x").pathname) {
      case "/client.js":
        return { type: "text/javascript", body: this.script };
      case "/echo":
        return { headers: cors, body: headers.authorization ?? "none" };
      case "/elsewhere":
        return { headers: { ...cors, Location: `http://${this.here}/echo` }, status: 302 };
      default:
        return { body: "<!doctype html><title>An app</title>" };
    }
  }
}

/** A tab with a session: what is done in it, and what it heard. */
export class Tab {
  /** With the page at an address, and a session at the hallpass of a URL: {store, mode}. */
  static async open(context, at, hallpass, options) {
    const tab = Object.assign(new Tab(), { page: await context.newPage(), hallpass, options });
    await tab.page.goto(at);
    await tab.start();
    return tab;
  }

  start() {
    return this.page.evaluate(
      async ([url, { store, ...options }]) => {
        const client = await import("/client.js");
        window.ends = [];
        window.session = client.createSession(url, { ...options, store: client[store]?.(), origins: [location.origin] });
        session.on("ended", (reason) => ends.push(reason));
        await session.ready;
      },
      [this.hallpass, this.options],
    );
  }

  async reload() {
    await this.page.reload();
    await this.start();
  }

  login = (who = ADMIN) => this.page.evaluate((who) => session.login(who), who);
  logout = () => this.page.evaluate(() => session.logout());
  state = () => this.page.evaluate(() => session.state);
  status = async () => (await this.state()).status;
  ends = () => this.page.evaluate(() => ends);
  becomes = (status) => until(`${status} in a tab`, async () => (await this.status()) === status);

  /** Calls the API so many times at once; answers statuses, or the codes of errors. */
  call = (times = 1, url = `${this.hallpass}/users/me`) =>
    this.page.evaluate(
      ([url, times]) =>
        Promise.all(Array.from({ length: times }, () => session.fetch(url).then(({ status }) => status, ({ code }) => code))),
      [url, times],
    );

  get = (url) => this.page.evaluate((url) => session.fetch(url).then((answer) => answer.text()), url);
}

/** Counts the refreshes of all tabs. */
export function countRefreshes(context) {
  const count = { refreshes: 0 };
  context.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/auth/refresh-token")) count.refreshes++;
  });
  return count;
}

/** From now on the API takes none of the access tokens that it was shown so far: they are over. */
export async function expireShown(context) {
  const shown = new Set();
  let over = new Set();
  await context.route("**/users/me", async (route) => {
    const token = route.request().headers().authorization;
    if (route.request().method() === "OPTIONS" || !token) return route.continue();
    shown.add(token);
    if (!over.has(token)) return route.continue();
    const headers = { "Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json" };
    await route.fulfill({ status: 401, headers, body: JSON.stringify({ code: "token_expired" }) });
  });
  return () => (over = new Set(shown));
}

/** Ends all sessions of the administrator, without a browser. */
export async function endSessions(hallpass) {
  const headers = { "Content-Type": "application/json" };
  const login = await fetch(`${hallpass.url}/auth/login`, { method: "POST", headers, body: JSON.stringify(ADMIN) });
  const { accessToken } = await login.json();
  const ended = await fetch(`${hallpass.url}/auth/sessions`, { method: "DELETE", headers: { Authorization: `Bearer ${accessToken}` } });
  assert.equal(ended.status, 200);
}
