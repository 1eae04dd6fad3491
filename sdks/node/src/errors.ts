/** What the error was about, for programs. */
export type ErrorCode =
  | 'authentication_required'
  | 'invalid_token'
  | 'token_expired'
  | 'token_revoked'
  | 'insufficient_user_authentication'
  | 'forbidden'
  | 'insufficient_scope'
  | 'dependency_unavailable'

/** Problem details (RFC 9457), as hallpass' own answers have them. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
}

const TITLES = { 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service Unavailable' } as const

/** The media type of a {@link Problem}. */
export const PROBLEM_TYPE = 'application/problem+json'

/** Seconds that a client is asked to wait after a 503: staleness mends itself within a heartbeat. */
const RETRY_AFTER = 1

/**
 * Why a token was not accepted, and what to answer. It quotes nothing of the token.
 *
 * 401 and 403 are verdicts. 503 says that none could be made: never accept the token then, and never call it wrong.
 */
export class TokenError extends Error {
  override name = 'TokenError'
  readonly code: ErrorCode
  readonly status: 401 | 403 | 503
  /** The value of `WWW-Authenticate` beside a 401 and a 403 (RFC 6750 3). */
  readonly wwwAuthenticate: string | undefined
  /** The value of `Retry-After` beside a 503, seconds. */
  readonly retryAfter: number | undefined

  constructor(status: 401 | 403 | 503, code: ErrorCode, message: string, challenge?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.code = code
    this.wwwAuthenticate = challenge
    this.retryAfter = status === 503 ? RETRY_AFTER : undefined
  }

  /** Whether something was decided about the token. If not, a client may try again with it. */
  get isVerdict(): boolean {
    return this.status !== 503
  }

  /** The body to answer with. */
  get problem(): Problem {
    const { status, code, message } = this
    const detail = `${message.charAt(0).toUpperCase()}${message.slice(1)}.`
    return { type: `urn:hallpass:error:${code}`, title: TITLES[status], status, detail, code }
  }

  /** The headers to answer with. */
  get headers(): Record<string, string> {
    const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE }
    if (this.wwwAuthenticate !== undefined) headers['www-authenticate'] = this.wwwAuthenticate
    if (this.retryAfter !== undefined) headers['retry-after'] = String(this.retryAfter)
    return headers
  }
}

function refused(code: ErrorCode, message: string): TokenError {
  return new TokenError(401, code, message, `Bearer error="invalid_token", error_description="${message}"`)
}

/** No token came: 401 without an error code (RFC 6750 3.1). */
export const noToken = () => new TokenError(401, 'authentication_required', 'an access token is needed', 'Bearer')
/** The token is no access token of this issuer for this audience now. */
export const invalid = (message: string) => refused('invalid_token', message)
export const malformed = () => invalid('the token is malformed')
export const expired = () => refused('token_expired', 'the token has expired')
export const revoked = () => refused('token_revoked', 'the token has been revoked')
/** Not a verdict. */
export const cannotTell = (cause: unknown) =>
  new TokenError(503, 'dependency_unavailable', 'the token cannot be checked right now', undefined, cause)

const NOT_ENOUGH = 'Bearer error="insufficient_scope"'
/** Nobody is logged in by the token: a client got it for itself. */
export const machine = () => new TokenError(403, 'forbidden', "a person's token is needed", NOT_ENOUGH)
export const noRole = (role: string) => new TokenError(403, 'forbidden', `the role ${role} is needed`, NOT_ENOUGH)

/** The challenge names the scope that would do (RFC 6750 3.1), where no character of it would end the quoted string. */
export function noScope(scope: string): TokenError {
  const isQuotable = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(scope)
  const challenge = isQuotable ? `${NOT_ENOUGH}, scope="${scope}"` : NOT_ENOUGH
  return new TokenError(403, 'insufficient_scope', `the scope ${scope} is needed`, challenge)
}

/** The person has to prove anew who they are (RFC 9470 3); `maxAge` in seconds. */
export function tooLongAgo(maxAge: number): TokenError {
  const challenge = `Bearer error="insufficient_user_authentication", max_age="${maxAge}"`
  return new TokenError(401, 'insufficient_user_authentication', 'the login is too long ago', challenge)
}

/** Settings that do not fit together. */
export class SettingsError extends Error {
  override name = 'SettingsError'
}

/** Why a request to the issuer brought nothing. */
export class IssuerError extends Error {
  override name = 'IssuerError'
  /** The HTTP status, where there was an answer at all. */
  readonly status: number | undefined
  /** How long the issuer asked to be left alone, seconds. */
  readonly retryAfter: number | undefined

  constructor(message: string, options: { status?: number; retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.status = options.status
    this.retryAfter = options.retryAfter
  }
}

/** The header names no key that is known here: a verdict once the issuer has been asked for newer ones. */
export class UnknownKey extends TokenError {
  constructor() {
    const message = 'the token names no known key'
    super(401, 'invalid_token', message, `Bearer error="invalid_token", error_description="${message}"`)
  }
}
