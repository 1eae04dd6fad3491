// What an app in TypeScript writes: it is compiled, and never run.

import { browserStore, createSession, HallpassError, localStore, memoryStore } from "@hallpass/client";
import type { Clock, Code, EndReason, ErrorCode, Options, Session, State, Store, User } from "@hallpass/client";
import { attach } from "@hallpass/client/axios";
import { useSession } from "@hallpass/client/react";
import axios from "axios";

const options: Options = { store: browserStore(), origins: ["https://api.example.com"], waitMax: 10, name: "shop" };
const session: Session = createSession("https://auth.example.com", options);
export const inCookie: Session = createSession("https://auth.example.com", { mode: "cookie" });
// @ts-expect-error there is no such mode
createSession("https://auth.example.com", { mode: "header" });
export const stores: Store[] = [localStore(), memoryStore()];
export const ends: () => void = session.on("ended", (reason: EndReason) => reason === "session_expired");
session.on("changed", ({ status, user }: State) => status === "logged_in" && user?.email);
// @ts-expect-error there is no such event
session.on("renewed", () => {});
// @ts-expect-error a login has a password
void session.login({ email: "ada@example.com" });

export const detach: () => void = attach(session, axios.create({ baseURL: "https://api.example.com" }));
attach(session, axios);
export const state = (): State => useSession(session);

export async function register(): Promise<User> {
  const account = await session.register({ email: "ada@example.com", password: "x", first_name: null });
  // @ts-expect-error where the service conceals accounts there is no id
  void account.id;
  return session.login({ email: "ada@example.com", password: "x" });
}

export function codeOf(error: unknown): Code | undefined {
  const known: ErrorCode = "rate_limited";
  if (!(error instanceof HallpassError)) throw error;
  return error.code === known && error.retryAfter ? known : error.code;
}

export const clock = (own: Clock): Options => ({ clock: own, fetch });
export const answer: Promise<Response> = session.fetch("https://api.example.com/books", { method: "POST" });
