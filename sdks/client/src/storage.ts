// Where a session outlives its page.

/** Keeps one text under a name. What it keeps is secret: whoever reads it is logged in. */
export interface Store {
  /** Whether other tabs see what is saved here: they share the session then, and its refreshes. */
  readonly shared: boolean;
  load(name: string): string | null | Promise<string | null>;
  save(name: string, text: string): void | Promise<void>;
  /** Calls back when another tab has saved, where the store knows; answers what ends that. */
  onChange?(name: string, changed: () => void): () => void;
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
 * The browser's database (IndexedDB): survives reloads, and all tabs of this origin share it. What one tab has saved, all others
 * see from that moment on. Every script of the page can read it, and with it the refresh token, unless a cookie has that.
 */
export function browserStore(): Store {
  return {
    shared: true,
    load: async (name) => ((await inDatabase("readonly", (table) => table.get(name))) as string | undefined) ?? null,
    save: async (name, text) => void (await inDatabase("readwrite", (table) => table.put(text, name))),
  };
}

/** One transaction, by a connection of its own: browsers take away those of pages that sleep. */
function inDatabase(mode: IDBTransactionMode, run: (table: IDBObjectStore) => IDBRequest): Promise<unknown> {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("hallpass");
    opening.onupgradeneeded = () => opening.result.createObjectStore("sessions");
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction("sessions", mode);
      const request = run(transaction.objectStore("sessions"));
      transaction.oncomplete = () => (database.close(), done(request.result));
      transaction.onabort = () => (database.close(), failed(transaction.error));
    };
  });
}

/**
 * `localStorage`, for where the database is not wanted. Browsers hand changes on to other tabs a moment late and write them to disk later
 * still: two tabs may refresh at once, which hallpass answers with one successor, and a browser that crashes may log out.
 */
export function localStore(): Store {
  return {
    shared: true,
    load: (name) => localStorage.getItem(name),
    save: (name, text) => localStorage.setItem(name, text),
    onChange(name, changed) {
      const heard = ({ key }: StorageEvent) => (key === name || key === null) && changed();
      addEventListener("storage", heard);
      return () => removeEventListener("storage", heard);
    },
  };
}
