// What the tabs of one origin do together.

/** Runs one thing at a time under a name, among all tabs of this origin. */
export type Exclusively = <T>(what: string, run: () => Promise<T>) => Promise<T>;

/**
 * By Web Locks, which a tab that closes or crashes gives back. Where there are none (plain http, but for localhost) each
 * tab is on its own: the service gives all tabs that redeem a refresh token at the same time the same successor.
 */
export function exclusively(name: string, shared: boolean): Exclusively {
  const locks = shared ? globalThis.navigator?.locks : undefined;
  if (!locks) return (_, run) => run();
  return (what, run) => locks.request(`${name} ${what}`, run) as ReturnType<typeof run>;
}

/** What tabs say to each other. It is nothing secret: what is kept is in the store, or in a cookie. */
export type Word = "look" | "logged_in" | "logged_out";

export interface Channel {
  tell(word: Word): void;
  close(): void;
}

/** Tabs of this origin that have a session of this name. A program that has no page is alone. */
export function channel(name: string, heard: (word: Word) => void): Channel {
  if (typeof document === "undefined" || typeof BroadcastChannel === "undefined") return { tell() {}, close() {} };
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }) => heard(data as Word);
  return { tell: (word) => channel.postMessage(word), close: () => channel.close() };
}

/** Calls back when a page that slept, was hidden or was offline is there again; answers what ends that. */
export function onWake(wake: () => void): () => void {
  if (typeof document === "undefined") return () => {};
  const targets: [EventTarget, string][] = [
    [document, "visibilitychange"],
    [globalThis, "pageshow"],
    [globalThis, "online"],
  ];
  for (const [target, event] of targets) target.addEventListener(event, wake);
  return () => targets.forEach(([target, event]) => target.removeEventListener(event, wake));
}

/** Whether somebody is looking. Timers of a page that nobody looks at would keep its session alive for ever. */
export const isVisible = () => typeof document !== "undefined" && document.visibilityState === "visible";
