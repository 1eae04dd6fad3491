import type { User } from "@hallpass/client";
import { useCallback, useEffect, useState } from "react";
import { session } from "./session";

interface Book {
  title: string;
  author: string;
}

/** What people see who are logged in. */
export function Shelf({ user }: { user: User }) {
  const [books, setBooks] = useState<Book[]>([]);
  const [problem, setProblem] = useState<string>();

  const load = useCallback(async () => {
    try {
      const answer = await session.fetch("/api/");
      setProblem(answer.ok ? undefined : `The books answer ${answer.status}.`);
      if (answer.ok) setBooks(await answer.json());
    } catch {
      setProblem("The books cannot be reached just now.");
    }
  }, []);
  useEffect(() => void load(), [load]);

  return (
    <>
      <h1>Books for {user.email}</h1>
      {problem && <p role="alert">{problem}</p>}
      <ul>
        {books.map(({ title, author }) => (
          <li key={title}>
            {title} by {author}
          </li>
        ))}
      </ul>
      <button onClick={load}>Look again</button>
      <button onClick={() => leave(false)}>Log out</button>
      <button onClick={() => leave(true)}>Log out everywhere</button>
    </>
  );
}

/** The tokens are forgotten in any case. Where hallpass could not be told, its session ends by itself some day. */
async function leave(everywhere: boolean) {
  await session.logout({ everywhere }).catch((error) => console.warn("the logout did not reach hallpass", error.code));
}
