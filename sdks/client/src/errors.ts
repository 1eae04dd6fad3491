// What goes wrong, without anything secret in it.

import type { ErrorCode, InvalidField, Problem } from "./openapi.js";

/**
 * What went wrong. Beside the codes of the service's problems there are two of this library's own:
 * `unreachable` (no answer came) and `unexpected_answer` (something answered that is not hallpass). A later
 * service may know more codes.
 */
export type Code = ErrorCode | "unreachable" | "unexpected_answer" | (string & {});

/** A request that did not succeed. It holds no token, no password and no request. */
export class HallpassError extends Error {
  override readonly name = "HallpassError";

  constructor(
    /** What went wrong: program against this. */
    readonly code: Code,
    /** For people. */
    detail: string,
    /** The HTTP status; none where no answer came. */
    readonly status?: number,
    /** For how many seconds to leave the service alone, where it said so. */
    readonly retryAfter?: number,
    /** The fields that were refused. */
    readonly fields: readonly InvalidField[] = [],
    /** What the service's log has this request under (`X-Request-Id`). */
    readonly requestId?: string,
  ) {
    super(detail);
  }

  /** Whether the service has said that this token, or its session, counts no more. */
  get isVerdict(): boolean {
    return this.status === 401 && this.code !== "unexpected_answer";
  }
}

/** The problem in an answer (RFC 9457); none where a proxy answered. The answer can still be read. */
export async function problemOf(answer: Response): Promise<Partial<Problem> | undefined> {
  try {
    const body: unknown = await answer.clone().json();
    return typeof body === "object" && body !== null && "code" in body && typeof body.code === "string"
      ? (body as Partial<Problem>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds of `Retry-After`, which is a number or a date (RFC 9110 10.2.3). */
export function retryAfter(answer: Response, now: number): number | undefined {
  const header = answer.headers.get("Retry-After");
  if (!header) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

/** The error that an answer is. */
export async function errorOf(answer: Response, now: number): Promise<HallpassError> {
  const problem = await problemOf(answer);
  return new HallpassError(
    problem?.code ?? "unexpected_answer",
    problem?.detail ?? `The answer was ${answer.status}, and not hallpass' own.`,
    answer.status,
    retryAfter(answer, now),
    problem?.errors,
    answer.headers.get("X-Request-Id") ?? undefined,
  );
}
