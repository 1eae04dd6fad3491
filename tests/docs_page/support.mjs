// The docs page in a real browser: what its tests share.
//
// HALLPASS_URL is a `hallpass dev` whose access tokens live for ACCESS_TTL seconds, without leeway;
// OTHER_NAME another name that it takes requests by, CHROMIUM the browser. With SCREENSHOTS, a folder, pictures of the page go there.

import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const SERVICE = new URL(process.env.HALLPASS_URL);
export const ACCESS_TTL = Number(process.env.ACCESS_TTL);
export const ORIGINS = ["127.0.0.1", "localhost"].map((host) => `http://${host}:${SERVICE.port}`);
export const [ORIGIN] = ORIGINS;
/** By a name that it may be called by, and that is neither its own nor this machine's. */
export const OTHER_ORIGIN = `http://${process.env.OTHER_NAME}:${SERVICE.port}`;
export const ADMIN = { email: "johndoe@example.com", password: "password" };
export const PATIENCE = 30_000;

let browser;
before(async () => {
  const args = [`--host-resolver-rules=MAP ${process.env.OTHER_NAME} 127.0.0.1`, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
});
after(() => browser.close());

/** A test with a browser of nobody before. */
export function inBrowser(name, run, options = {}) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ colorScheme: "light", ...options });
    context.setDefaultTimeout(PATIENCE);
    try {
      await run(context);
    } finally {
      await context.close();
    }
  });
}

/** Opens the page and waits until it shows operations; collects what it asks for and complains of. */
export async function open(context, origin = ORIGIN, path = "/docs") {
  const page = await context.newPage();
  const seen = { requests: [], complaints: [] };
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("console", (line) => {
    // An answer of 4xx to "Execute" is what some tests are about.
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) seen.complaints.push(line.text());
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  const response = await page.goto(origin + path);
  await page.locator(".opblock").first().waitFor();
  return Object.assign(page, { seen, response });
}

export const block = (page, method, path) =>
  page.locator(`.opblock-${method}`).filter({ has: page.locator(`[data-path="${path}"]`) });

/** Executes an operation by its button; answers the status that the page shows. */
export async function execute(page, method, path) {
  const operation = block(page, method, path);
  if (!(await operation.locator(".execute").isVisible())) {
    await operation.locator(".opblock-summary-control").click();
  }
  const answered = page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await operation.locator(".execute").click();
  const response = await answered;
  const shown = operation.locator(".live-responses-table tr.response .response-col_status");
  await shown.filter({ hasText: String(response.status()) }).waitFor();
  return response.status();
}

export async function logIn(page, { email, password } = ADMIN) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.locator("#login").getByRole("button").click();
}

export async function loggedIn(page) {
  await page.locator("#logged-in output").filter({ hasText: ADMIN.email }).waitFor();
}

/** The credentials as Swagger UI keeps them. */
export const tokens = (page) =>
  page.evaluate(() => {
    const kept = JSON.parse(localStorage.getItem("authorized") ?? "{}");
    return { access: kept.AccessToken?.value, refresh: kept.RefreshToken?.value };
  });

/** The refresh token that a login at the top has put where no script reads it. */
export async function cookie(context) {
  const cookies = await context.cookies(ORIGINS);
  return cookies.find(({ name }) => name === "hallpass");
}
