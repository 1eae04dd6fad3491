// The pages that links in mails lead to, in a real browser.
//
// HALLPASS_URL is a `hallpass dev` of an app with the name APP_NAME at APP_URL, which answers with reset tokens.

import assert from "node:assert/strict";
import { ORIGIN, inBrowser } from "./support.mjs";

const { APP_NAME, APP_URL } = process.env;
const RED = "rgb(163, 38, 27)";
let people = 0;

const call = async (path, body) => {
  const answer = await fetch(ORIGIN + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, said: await answer.json() };
};

/** Somebody with an account who has asked for a new password. */
async function forgetful() {
  const email = `forgetful${(people += 1)}@example.com`;
  const registered = await call("/auth/register", { email, password: "an engine weaves patterns" });
  assert.equal(registered.status, 201);
  const { said } = await call("/auth/reset-password-request", { email });
  return { email, token: said.passwordResetToken };
}

/** Opens a page by its link; collects what it asks for and complains of. */
async function open(context, path, token) {
  const page = await context.newPage();
  const seen = { posts: [], complaints: [] };
  page.on("request", (request) => request.method() === "POST" && seen.posts.push(new URL(request.url()).pathname));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("console", (line) => /Content.Security.Policy/i.test(line.text()) && seen.complaints.push(line.text()));
  await page.goto(`${ORIGIN}${path}${token === undefined ? "" : `#token=${token}`}`);
  return Object.assign(page, { seen });
}

const says = (page, text) => page.locator("#outcome").filter({ hasText: text }).waitFor();
const colour = (page) => page.locator("#outcome").evaluate((element) => getComputedStyle(element).color);
const wayOn = (page) => page.getByRole("link", { name: `Back to ${APP_NAME}`, exact: true });
const heading = (page) => page.getByRole("heading").textContent();

async function choose(page, password) {
  await page.getByLabel("New password").fill(password);
  await page.getByLabel("The same once more").fill(password);
  await page.getByRole("button", { name: "Change password" }).click();
}

/** Nothing of the token is where somebody who uses the browser later would find it. */
async function assertForgotten(page, token) {
  const kept = await page.evaluate(() =>
    JSON.stringify([location.href, history.state, { ...localStorage }, { ...sessionStorage }, document.cookie]),
  );
  assert.ok(!kept.includes(token), kept);
}

inBrowser("a new password is chosen, and a reload after that is no error", async (context) => {
  const { email, token } = await forgetful();
  const page = await open(context, "/reset-password", token);
  assert.equal(await page.locator(".app").textContent(), APP_NAME);
  assert.equal(await page.title(), `Choose a new password · ${APP_NAME}`);
  assert.equal(await wayOn(page).isVisible(), false);
  await assertForgotten(page, token);
  assert.deepEqual(page.seen.posts, []);

  await choose(page, "short");
  await says(page, "is shorter than");
  await choose(page, "a better one this time");
  await says(page, "Log in with the new password.");
  for (const again of [false, true]) {
    if (again) await page.reload();
    await says(page, "Log in with the new password.");
    assert.equal(await heading(page), "Your password is changed");
    assert.equal(await page.title(), `Your password is changed · ${APP_NAME}`);
    assert.notEqual(await colour(page), RED);
    assert.equal(await page.getByRole("button").count(), 0);
    assert.equal(await wayOn(page).getAttribute("href"), APP_URL);
    await assertForgotten(page, token);
  }
  assert.deepEqual(page.seen, { posts: ["/auth/reset-password", "/auth/reset-password"], complaints: [] });
  assert.equal((await call("/auth/login", { email, password: "a better one this time" })).status, 200);
});

inBrowser("a link that is used up or cut off leads to another mail, alike for everybody", async (context) => {
  const { email, token } = await forgetful();
  await call("/auth/reset-password", { resetToken: token, newPassword: "a better one this time" });
  const page = await open(context, "/reset-password", token);
  await choose(page, "yet another one, better");
  await says(page, "reset token");
  assert.equal(await colour(page), RED);
  assert.equal(await page.getByRole("button", { name: "Change password" }).isVisible(), false);
  const address = page.getByLabel("Your e-mail address");
  const ask = page.getByRole("button", { name: "Request a new mail" });
  await ask.click();
  await says(page, "Type your e-mail address.");
  await address.fill("no address");
  await ask.click();
  await says(page, "This is no e-mail address.");
  await address.fill(email);
  await ask.click();
  await says(page, "If there is an account with this address");
  const known = await page.locator("main").innerHTML();
  assert.equal(await ask.isVisible(), false);

  for (const path of ["/reset-password", "/verify-email"]) {
    const page = await open(context, path);
    await says(page, "This link is not complete.");
    assert.equal(await colour(page), RED);
    await page.getByLabel("Your e-mail address").fill("nobody@example.com");
    await page.getByLabel("Your e-mail address").press("Enter");
    await says(page, /on its way/);
    assert.deepEqual(page.seen, { posts: [`/auth${path}-request`], complaints: [] });
    if (path === "/reset-password") assert.equal(await page.locator("main").innerHTML(), known);
  }
});

inBrowser("an address is confirmed, and a reload before that says what to do", async (context) => {
  // Only a mail has such a token: what the service answers to it stands here.
  await context.route("**/auth/verify-email", async (route) => {
    const { verificationToken } = route.request().postDataJSON();
    const good = verificationToken === "hp_ev_good";
    const body = good ? { message: "e-mail address verified" } : { code: "invalid_verification_token", detail: "It is void." };
    await route.fulfill({ status: good ? 200 : 400, json: body });
  });
  const page = await open(context, "/verify-email", "hp_ev_good");
  await page.reload();
  await says(page, "Open the link in the mail once more");
  assert.notEqual(await colour(page), RED);
  await page.getByRole("button", { name: "Request a new mail" }).waitFor();
  // The link is followed while the page is open: the browser changes the fragment and loads nothing.
  await page.goto(`${ORIGIN}/verify-email#token=hp_ev_bad`);
  await page.getByRole("button", { name: "Confirm address" }).click();
  await says(page, "It is void.");
  await page.getByRole("button", { name: "Request a new mail" }).waitFor();
  await page.goto(`${ORIGIN}/verify-email#token=hp_ev_good`);
  await page.getByRole("button", { name: "Confirm address" }).click();
  for (const again of [false, true]) {
    if (again) await page.reload();
    await says(page, "You can log in now.");
    assert.equal(await heading(page), "Your e-mail address is confirmed");
    assert.equal(await wayOn(page).getAttribute("href"), APP_URL);
    await assertForgotten(page, "hp_ev_good");
  }
  assert.deepEqual(page.seen.complaints, []);
});
