// Does with openapi-typescript's and hey-api's clients what every client does: flow SERVICE FRONT.

import assert from "node:assert/strict";
import { createSession } from "@hallpass/client";
import createClient from "openapi-fetch";
import type { paths } from "./hallpass";
import * as hey from "./hey";
import { createClient as createHeyClient } from "./hey/client";
import { whoAmI } from "./me";

const [service, front] = process.argv.slice(2);
const password = "an engine weaves patterns";

/** Registers, logs in, asks who it is, refreshes, logs out and is refused: openapi-fetch. */
async function anAccountLives(baseUrl: string) {
  const email = "typescript@example.com";
  const hallpass = createClient<paths>({ baseUrl });
  const body = { email, password, first_name: "Anders" };
  const account = await hallpass.POST("/auth/register", { body });
  assert(account.data && "id" in account.data);
  assert.equal(account.data.first_name, "Anders");
  const taken = await hallpass.POST("/auth/register", { body });
  assert.deepEqual([taken.response.status, taken.error?.code], [409, "email_taken"]);

  const wrong = await hallpass.POST("/auth/login", { body: { email, password: "wrong" } });
  assert.equal(wrong.error?.code, "invalid_credentials");
  const login = await hallpass.POST("/auth/login", { body: { email, password } });
  assert(login.data);
  const { accessToken, refreshToken } = login.data;

  const headers = { Authorization: `Bearer ${accessToken}` };
  const caller = await hallpass.GET("/auth/auth-me", { headers });
  assert.equal(caller.data?.user.id, account.data.id);
  const me = await hallpass.GET("/users/me", { headers });
  assert.equal(me.data?.last_name, null);
  const pair = await hallpass.POST("/auth/refresh-token", { body: { refreshToken } });
  assert(pair.data && pair.data.refreshToken !== refreshToken);

  headers.Authorization = `Bearer ${pair.data.accessToken}`;
  const out = await hallpass.POST("/auth/logout", { headers });
  assert(out.data, JSON.stringify(out.error));
  const refused = await hallpass.GET("/users/me", { headers });
  assert.deepEqual([refused.response.status, refused.error?.code], [401, "token_revoked"]);
}

/** The same: hey-api. */
async function anotherAccountLives(baseUrl: string) {
  const email = "hey-api@example.com";
  const client = createHeyClient({ baseUrl });
  const account = await hey.register({ client, body: { email, password } });
  assert(account.data && "id" in account.data);
  const taken = await hey.register({ client, body: { email, password } });
  assert.deepEqual([taken.response?.status, taken.error?.code], [409, "email_taken"]);
  const wrong = await hey.login({ client, body: { email, password: "wrong" } });
  assert.equal(wrong.error?.code, "invalid_credentials");
  const login = await hey.login({ client, body: { email, password } });
  assert(login.data);

  let token = login.data.accessToken;
  client.setConfig({ auth: (scheme) => (scheme.scheme === "bearer" ? token : undefined) });
  assert.equal((await hey.authMe({ client })).data?.user.id, account.data.id);
  assert.equal((await hey.getMe({ client })).data?.email, email);
  const pair = await hey.refreshToken({ client, body: { refreshToken: login.data.refreshToken } });
  assert(pair.data && pair.data.refreshToken !== login.data.refreshToken);
  token = pair.data.accessToken;
  const out = await hey.logout({ client });
  assert(out.data, JSON.stringify(out.error));
  const refused = await hey.getMe({ client });
  assert.deepEqual([refused.response?.status, refused.error?.code], [401, "token_revoked"]);
}

/** The code of the documentation refreshes once and waits. */
async function aSessionLasts(baseUrl: string) {
  assert.equal(await whoAmI(baseUrl), "johndoe@example.com");
  const session = createSession(baseUrl);
  await session.login({ email: "johndoe@example.com", password: "password" });
  const hallpass = createClient<paths>({ baseUrl, fetch: session.fetch });
  const me = async () => (await hallpass.GET("/users/me")).data?.id;
  const tell = (what: string) => fetch(`${baseUrl}/front/${what}`, { method: "POST" });
  const refreshes = async () => (await (await fetch(`${baseUrl}/front/refreshes`)).json()).refreshes;
  assert.equal(await me(), 1);
  const before = await refreshes();
  await tell("expire");
  assert.deepEqual(await Promise.all([me(), me(), me(), me()]), [1, 1, 1, 1]);
  assert.equal(await refreshes(), before + 1, "one refresh for all");
  await tell("busy");
  assert.equal(await me(), 1);
}

await anAccountLives(service);
console.log("typescript (openapi-typescript, openapi-fetch): well");
await anotherAccountLives(service);
console.log("typescript (hey-api): well");
await aSessionLasts(front);
