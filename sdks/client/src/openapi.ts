// Generated from openapi/hallpass.json by scripts/lib/client_types.py: change that, and run it.

/** A stable name for what went wrong: program against this, not against the text. */
export type ErrorCode =
  | "invalid_request"
  | "unknown_parameter"
  | "weak_password"
  | "invalid_credentials"
  | "account_disabled"
  | "email_not_verified"
  | "authentication_required"
  | "invalid_token"
  | "token_expired"
  | "token_revoked"
  | "invalid_refresh_token"
  | "refresh_token_reused"
  | "session_expired"
  | "session_evicted"
  | "invalid_reset_token"
  | "invalid_verification_token"
  | "invalid_client"
  | "unsupported_grant_type"
  | "invalid_scope"
  | "invalid_target"
  | "unauthorized_client"
  | "insufficient_scope"
  | "token_too_large"
  | "client_taken"
  | "forbidden"
  | "not_found"
  | "ambiguous_token"
  | "csrf_check_failed"
  | "method_not_allowed"
  | "misdirected_request"
  | "request_timeout"
  | "registration_disabled"
  | "email_taken"
  | "external_id_taken"
  | "last_admin"
  | "reset_unavailable"
  | "payload_too_large"
  | "unsupported_media_type"
  | "rate_limited"
  | "overloaded"
  | "dependency_unavailable"
  | "clock_skew"
  | "revocation_pending"
  | "internal_error";

/** One field that was refused. */
export interface InvalidField {
  /** The field's name as in the request. */
  field: string;
  /** What is wrong with it. */
  detail: string;
}

/** Who is logged in, and the tokens of the new session. */
export interface Login {
  /** The account that is logged in. */
  user: User;
  /** A signed JWT for `Authorization: Bearer`. */
  accessToken: string;
  /**
   * Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the
   * cookie.
   */
  refreshToken: string;
  /** How to present the access token: always `Bearer`. */
  tokenType: string;
  /** Seconds until the access token ends. */
  expiresIn: number;
  /** When the session ends in any case, seconds since the Unix epoch. */
  sessionExpiresAt: number;
}

/** Who wants to log in. */
export interface LoginRequest {
  /** E-mail address. */
  email: string;
  /** Password. */
  password: string;
  /**
   * Whom the access tokens of the session are to be for, absolute URIs, 8 at most: some of those that the service
   * lists for logins (`tokens.audiences`). This service alone unless given.
   */
  resource?: string[] | null;
}

/** Which of the account's sessions a logout ends. */
export type LogoutScope =
  | "local"
  | "others"
  | "global";

/** Problem details (RFC 9457): every error of this API has this shape. */
export interface Problem {
  /**
   * The kind of problem as a URI: `urn:hallpass:error:` and the code, which `/docs/errors#<code>` explains. It is
   * the same at every service that answers for hallpass, so it names none of them.
   */
  type: string;
  /** The status in words. */
  title: string;
  /** The HTTP status code, again. */
  status: number;
  /** What happened and what to do about it, for people. */
  detail: string;
  /** What happened, for programs. */
  code: ErrorCode;
  /** The fields that were refused, where it was fields. */
  errors?: InvalidField[];
}

/** What somebody registers with. Anything else in the body, a role or an id, is ignored. */
export interface RegisterRequest {
  /** E-mail address, at most 254 bytes; upper and lower case are the same. */
  email: string;
  /**
   * Password: at least 8 characters unless configured otherwise, at most 1,024 bytes, not a common one. Taken as
   * it is sent, but that letters count as composed (NFC).
   */
  password: string;
  /** First name, at most 100 characters. */
  first_name?: string | null;
  /** Last name, at most 100 characters. */
  last_name?: string | null;
}

/** The account exists now. */
export interface Registered {
  /** The account's id. */
  id: number;
  /** First name, `null` if none was given. */
  first_name: string | null;
  /** Last name, `null` if none was given. */
  last_name: string | null;
  /** E-mail address, in lower case. */
  email: string;
  /** Whether the owner has proven that the address is theirs. Until then it may be anybody's. */
  email_verified: boolean;
  /** What was done. */
  message: string;
}

/** The registration was taken; what became of it is in the mail. */
export interface RegistrationTaken {
  /** What was done. */
  message: string;
}

/** The next pair of tokens of the session. */
export interface TokenPair {
  /** A signed JWT for `Authorization: Bearer`. Any service can check it with the keys at `/.well-known/jwks.json`. */
  accessToken: string;
  /**
   * Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the
   * cookie.
   */
  refreshToken: string;
  /** How to present the access token: always `Bearer`. */
  tokenType: string;
  /** Seconds until the access token ends. */
  expiresIn: number;
  /** When the session ends in any case, seconds since the Unix epoch. */
  sessionExpiresAt: number;
}

/** An account as its owner sees it. */
export interface User {
  /** The account's id, never given twice. */
  id: number;
  /** First name, `null` if none was given. */
  first_name: string | null;
  /** Last name, `null` if none was given. */
  last_name: string | null;
  /** E-mail address, in lower case. */
  email: string;
  /** Whether the owner has proven that the address is theirs. Until then it may be anybody's. */
  email_verified: boolean;
}

/** Where the operations are, below the service's URL. */
export const PATHS = {
  register: "/auth/register",
  login: "/auth/login",
  refreshToken: "/auth/refresh-token",
  logout: "/auth/logout",
  authMePost: "/auth/auth-me",
} as const;
