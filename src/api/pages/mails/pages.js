"use strict";

// The token comes in the fragment and is sent only when the button is pressed: a mail scanner that
// looks at the page uses nothing up.
(() => {
  const pages = {
    "reset-password": { path: "auth/reset-password", done: "Your password has been changed. Log in with it.", body: newPassword },
    "verify-email": {
      path: "auth/verify-email",
      done: "Your e-mail address is confirmed. You can log in now.",
      body: () => ({ verificationToken: token }),
    },
  };
  const page = pages[document.body.dataset.page];
  const [ask, send, outcome] = ["ask", "send", "outcome"].map((id) => document.getElementById(id));
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  // Neither the address bar nor the history of the browser keeps it.
  history.replaceState(null, "", location.pathname);

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

  async function post() {
    let body;
    try {
      body = page.body();
    } catch (error) {
      say(error.message, true);
      return;
    }
    send.disabled = true;
    say("One moment …", false);
    try {
      const answer = await fetch(page.path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        credentials: "omit",
        body: JSON.stringify(body),
      });
      const said = await answer.json();
      // Of `revocation_pending` the change stands; only the end of old sessions is not confirmed yet.
      if (answer.ok || said.code === "revocation_pending") {
        ask.hidden = true;
        say(page.done, false);
      } else {
        say(said.detail, true);
      }
    } catch {
      say("The service cannot be reached. Try again.", true);
    } finally {
      send.disabled = false;
    }
  }

  if (token === null || token === "") {
    say("This link is not complete. Copy the whole address out of the mail.", true);
    return;
  }
  ask.hidden = false;
  send.addEventListener("click", post);
  ask.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target !== send && !send.disabled) post();
  });
})();
