import { createSession } from "@hallpass/client";

/**
 * The session of all tabs. Its refresh token is in a cookie, since page and hallpass are on one site: no script reads it. The books are
 * below the page's own origin, which may therefore see the access token.
 */
export const session = createSession(import.meta.env.VITE_HALLPASS_URL ?? "http://localhost:8080", {
  mode: "cookie",
  origins: [location.origin],
});

const ENDS: Record<string, string> = {
  logged_out: "You have logged out.",
  invalid_refresh_token: "Your session was ended from somewhere else: on another device, or by an administrator.",
  refresh_token_reused: "Somebody else used your session, so it was ended. Change your password.",
  session_expired: "Your session was too old.",
  authentication_required: "You were logged out by another app, or the browser has lost its cookie.",
  session_evicted: "You logged in on too many devices; this one was the oldest.",
};

/** Why somebody was logged out. A later hallpass may know more reasons. */
export const whyEnded = (reason: string) => ENDS[reason] ?? `Your session is over (${reason}).`;
