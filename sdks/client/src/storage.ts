// Where a session outlives its page.

/** Keeps one text under a name. What it keeps is secret: whoever reads it is logged in. */
export interface Store {
  /** Whether other tabs see what is saved here: they share the session then, and its refreshes. */
  readonly shared: boolean;
  load(name: string): string | null | Promise<string | null>;
  save(name: string, text: string): void | Promise<void>;
}

/** For as long as the page lives, and for nobody else. */
export function memoryStore(): Store {
  const kept = new Map<string, string>();
  return {
    shared: false,
    load: (name) => kept.get(name) ?? null,
    save: (name, text) => void kept.set(name, text),
  };
}

/**
 * `localStorage`: survives reloads, and all tabs of this origin share it. Every script of the page can read it, and
 * with it the refresh token.
 */
export function localStore(): Store {
  return {
    shared: true,
    load: (name) => localStorage.getItem(name),
    save: (name, text) => localStorage.setItem(name, text),
  };
}
