// For those who call their API by axios. It is not imported: what is used of it is written down here.

import type { Attempt } from "./attempt.js";
import type { Session } from "./session.js";

interface Headers {
  has(name: string): boolean;
  set(name: string, value: string): unknown;
  delete(name: string): unknown;
}

interface Config {
  headers: Headers;
  method?: string | undefined;
  signal?: unknown;
}

interface Refusal {
  config?: Config | undefined;
  request?: unknown;
  response?: { status: number; data: unknown; headers: object; request?: unknown } | undefined;
}

interface Interceptors<Value> {
  use(done: ((value: Value) => Promise<Value>) | null, failed?: (error: Refusal) => Promise<unknown>): number;
  eject(id: number): void;
}

/** An instance of axios, as far as this goes. */
export interface AxiosLike {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  interceptors: { request: Interceptors<any>; response: Interceptors<any> };
  getUri(config: never): string;
  request(config: never): Promise<unknown>;
}

/** The attempt that a request belongs to travels in its configuration, which axios copies. */
const ATTEMPT = "hallpassAttempt";
type Marked = Config & { [ATTEMPT]?: Attempt };

/**
 * Has an instance of axios do what `session.fetch` does: the token for the origins that were named, renewed where that is needed, and
 * patience. Answers what ends that.
 */
export function attach(session: Session, axios: AxiosLike): () => void {
  const request = axios.interceptors.request.use((config: Marked) => signed(session, axios, config));
  const response = axios.interceptors.response.use(null, (error: Refusal) => sentAgain(axios, error));
  return () => {
    axios.interceptors.request.eject(request);
    axios.interceptors.response.eject(response);
  };
}

async function signed(session: Session, axios: AxiosLike, config: Marked): Promise<Marked> {
  if (!config[ATTEMPT] && config.headers.has("Authorization")) return config;
  const url = new URL(axios.getUri(config as never), globalThis.location?.href).href;
  const signal = config.signal instanceof AbortSignal ? config.signal : undefined;
  const attempt = (config[ATTEMPT] ??= session.attempt(url, (config.method ?? "get").toUpperCase(), signal));
  const authorization = await attempt.authorization();
  if (authorization) config.headers.set("Authorization", authorization);
  return config;
}

async function sentAgain(axios: AxiosLike, error: Refusal): Promise<unknown> {
  const { config, response } = error;
  const attempt = config && (config as Marked)[ATTEMPT];
  if (!attempt) throw error;
  config.headers.delete("Authorization");
  if (response && (await attempt.again(outcome(response)))) return axios.request(config as never);
  // It has the token as well.
  hide(error, "request");
  if (response) hide(response, "request");
  throw error;
}

function outcome({ status, data, headers }: NonNullable<Refusal["response"]>) {
  const said = (headers as Record<string, unknown>)["retry-after"];
  const problem = typeof data === "object" && data !== null && "code" in data ? (data as { code: string }) : undefined;
  const seconds = typeof said === "string" && /^\d+$/.test(said) ? Number(said) : undefined;
  return { status, retryAfter: seconds, problem: problem as never };
}

/** Leaves a member where it is, out of sight of what prints. */
function hide(object: object, name: string): void {
  const value: unknown = Reflect.get(object, name);
  Object.defineProperty(object, name, { value, enumerable: false, configurable: true, writable: true });
}
