import { HallpassError } from "@hallpass/client";
import { useState } from "react";
import type { FormEvent } from "react";
import { session, whyEnded } from "./session";

/** Where people register and log in, and are told why they have to. */
export function Door({ ended }: { ended: string | undefined }) {
  const [problem, setProblem] = useState<string>();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.currentTarget)) as { email: string; password: string };
    const button = (event.nativeEvent as SubmitEvent).submitter as HTMLButtonElement;
    try {
      if (button.name === "register") await session.register(fields);
      await session.login(fields);
    } catch (error) {
      setProblem(words(error));
    }
  }

  return (
    <form onSubmit={submit}>
      <h1>Books</h1>
      {ended && <p role="status">{whyEnded(ended)}</p>}
      {problem && <p role="alert">{problem}</p>}
      <label>
        E-mail <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button name="login">Log in</button>
      <button name="register">Register</button>
    </form>
  );
}

function words(error: unknown): string {
  if (!(error instanceof HallpassError)) throw error;
  return error.retryAfter ? `${error.message} Try again in ${error.retryAfter} seconds.` : error.message;
}
