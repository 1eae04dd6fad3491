"use strict";

// The token comes in the fragment and is sent only when the button is pressed: a mail scanner that
// looks at the page uses nothing up.
(() => {
  const pages = {
    "reset-password": {
      path: "auth/reset-password",
      body: newPassword,
      dead: "invalid_reset_token",
      heading: "Your password is changed",
      done: "Log in with the new password.",
      request: "auth/reset-password-request",
      requested: "If there is an account with this address, a mail with a new link is on its way.",
    },
    "verify-email": {
      path: "auth/verify-email",
      body: () => ({ verificationToken: token }),
      dead: "invalid_verification_token",
      heading: "Your e-mail address is confirmed",
      done: "You can log in now.",
      request: "auth/verify-email-request",
      requested: "If an account with this address is not confirmed yet, a mail with a new link is on its way.",
    },
  };
  const page = pages[document.body.dataset.page];
  const [heading, ask, send, outcome, another, email, request, wayOn] = [
    "heading", "ask", "send", "outcome", "another", "email", "request", "way-on",
  ].map((id) => document.getElementById(id));
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const stage = history.state?.stage;

  // Neither the address bar nor the history of the browser keeps the token, only how far this page has come:
  // whoever loads it again is told.
  function remember(stage) {
    history.replaceState({ stage }, "", location.pathname);
  }

  function say(text, bad) {
    outcome.textContent = text;
    outcome.classList.toggle("bad", bad);
  }

  function newPassword() {
    const [password, again] = ["password", "again"].map((id) => document.getElementById(id).value);
    if (password === "") throw new Error("Type a new password.");
    if (password !== again) throw new Error("The two passwords differ.");
    return { resetToken: token, newPassword: password };
  }

  function finish() {
    ask.hidden = another.hidden = true;
    document.title = document.title.replace(heading.textContent, page.heading);
    heading.textContent = page.heading;
    say(page.done, false);
    wayOn.hidden = wayOn.childElementCount === 0;
  }

  // What came back, or nothing where the service was not reached.
  async function post(path, body, button) {
    button.disabled = true;
    say("One moment …", false);
    try {
      const answer = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        credentials: "omit",
        body: JSON.stringify(body),
      });
      return { ok: answer.ok, said: await answer.json() };
    } catch {
      say("The service cannot be reached. Try again.", true);
      return null;
    } finally {
      button.disabled = false;
    }
  }

  async function redeem() {
    let body;
    try {
      body = page.body();
    } catch (error) {
      say(error.message, true);
      return;
    }
    const answer = await post(page.path, body, send);
    if (answer === null) return;
    // Of `revocation_pending` the change stands; only the end of old sessions is not confirmed yet.
    if (answer.ok || answer.said.code === "revocation_pending") {
      remember("done");
      finish();
      return;
    }
    say(answer.said.detail, true);
    if (answer.said.code === page.dead) {
      ask.hidden = true;
      another.hidden = false;
    }
  }

  async function requestAnother() {
    const typed = email.value.trim();
    if (typed === "") {
      say("Type your e-mail address.", true);
      return;
    }
    const answer = await post(page.request, { email: typed }, request);
    if (answer === null) return;
    if (answer.ok) {
      another.hidden = true;
      say(page.requested, false);
    } else {
      say(answer.said.code === "invalid_request" ? "This is no e-mail address." : answer.said.detail, true);
    }
  }

  function onEnter(part, button, act) {
    button.addEventListener("click", act);
    part.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target !== button && !button.disabled) act();
    });
  }

  onEnter(ask, send, redeem);
  onEnter(another, request, requestAnother);
  // Another link to this page, followed while it is open, loads nothing by itself.
  window.addEventListener("hashchange", () => location.reload());

  if (token) {
    remember("opened");
    ask.hidden = false;
  } else if (stage === "done") {
    finish();
  } else {
    another.hidden = false;
    if (stage === "opened") {
      say("A page that is loaded again does not keep its link. Open the link in the mail once more, or request a new mail.", false);
    } else {
      say("This link is not complete. Copy the whole address out of the mail, or request a new mail.", true);
    }
  }
})();
