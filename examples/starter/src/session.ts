import { browserStore, createSession } from "@hallpass/client";

/** The session of all tabs. The books are below the page's own origin, which may therefore see the token. */
export const session = createSession(import.meta.env.VITE_HALLPASS_URL ?? "http://127.0.0.1:8080", {
  store: browserStore(),
  origins: [location.origin],
});

const ENDS: Record<string, string> = {
  logged_out: "You have logged out.",
  invalid_refresh_token: "Your session was ended from somewhere else: on another device, or by an administrator.",
  refresh_token_reused: "Somebody else used your session, so it was ended. Change your password.",
  session_expired: "Your session was too old.",
  session_evicted: "You logged in on too many devices; this one was the oldest.",
};

/** Why somebody was logged out. A later hallpass may know more reasons. */
export const whyEnded = (reason: string) => ENDS[reason] ?? `Your session is over (${reason}).`;
