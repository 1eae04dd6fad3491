// A hallpass that can be stopped and started again, and a browser with tabs.
//
// HALLPASS is the program, CHROMIUM the browser.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";

export const ADMIN = { email: "johndoe@example.com", password: "password" };
/** The machine may be busy with something else. */
export const PATIENCE = 60_000;

/** Waits until something holds, and answers it. */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const it = await holds();
    if (it) return it;
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await new Promise((soon) => setTimeout(soon, 50));
  }
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** `hallpass dev` with data of its own, at an address that it keeps. */
export class Hallpass {
  static async start(settings = {}) {
    const hallpass = new Hallpass();
    hallpass.settings = settings;
    hallpass.folder = await mkdtemp(join(tmpdir(), "hallpass-"));
    hallpass.listen = `127.0.0.1:${await freePort()}`;
    hallpass.url = `http://${hallpass.listen}`;
    await hallpass.start();
    return hallpass;
  }

  async start() {
    const env = { PATH: process.env.PATH, HALLPASS_RATE_LIMITS__ENABLED: "false", ...this.settings };
    const options = ["dev", "--listen", this.listen, "--data-dir", join(this.folder, "data")];
    this.process = spawn(process.env.HALLPASS, options, { env, stdio: ["ignore", "ignore", "ignore"] });
    await until("hallpass is ready", async () => {
      assert.equal(this.process.exitCode, null, "hallpass has ended");
      return fetch(`${this.url}/health/ready`).then(({ ok }) => ok, () => false);
    });
  }

  async stop() {
    if (this.process.exitCode !== null) return;
    this.process.kill();
    await once(this.process, "exit");
  }

  async remove() {
    await this.stop();
    await rm(this.folder, { recursive: true });
  }
}

/** A server of pages: a function from a path to {type, body, headers, status}. */
export async function servePages(answer) {
  const server = createHttpServer((request, response) => {
    const { status = 200, type = "text/html", body = "", headers = {} } = answer(request) ?? { status: 404 };
    response.writeHead(status, { "Content-Type": type, ...headers }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export function launch(names = []) {
  const args = [`--host-resolver-rules=${names.join(",")}`, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args });
}

/** A test with a browser of nobody before. */
export function inBrowser(name, browser, run) {
  test(name, { timeout: 4 * PATIENCE }, async () => {
    const context = await browser().newContext();
    context.setDefaultTimeout(PATIENCE);
    try {
      await run(context);
    } finally {
      await context.close();
    }
  });
}
