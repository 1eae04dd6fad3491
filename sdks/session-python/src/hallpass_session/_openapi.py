"""Generated from openapi/hallpass.json by scripts/lib/client_types.py: change that, and run it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


ErrorCode = Literal[
    "invalid_request",
    "unknown_parameter",
    "weak_password",
    "invalid_credentials",
    "account_disabled",
    "email_not_verified",
    "authentication_required",
    "invalid_token",
    "token_expired",
    "token_revoked",
    "invalid_refresh_token",
    "refresh_token_reused",
    "session_expired",
    "session_evicted",
    "invalid_reset_token",
    "invalid_verification_token",
    "invalid_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "insufficient_scope",
    "token_too_large",
    "client_taken",
    "forbidden",
    "not_found",
    "ambiguous_token",
    "csrf_check_failed",
    "method_not_allowed",
    "misdirected_request",
    "request_timeout",
    "registration_disabled",
    "email_taken",
    "external_id_taken",
    "last_admin",
    "reset_unavailable",
    "payload_too_large",
    "unsupported_media_type",
    "rate_limited",
    "overloaded",
    "dependency_unavailable",
    "clock_skew",
    "revocation_pending",
    "internal_error",
]
"""A stable name for what went wrong: program against this, not against the text."""


class InvalidField(TypedDict):
    """One field that was refused."""

    field: str
    """The field's name as in the request."""
    detail: str
    """What is wrong with it."""


class Login(TypedDict):
    """Who is logged in, and the tokens of the new session."""

    user: User
    """The account that is logged in."""
    accessToken: str
    """A signed JWT for `Authorization: Bearer`."""
    refreshToken: str
    """Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the
    cookie.
    """
    tokenType: str
    """How to present the access token: always `Bearer`."""
    expiresIn: int
    """Seconds until the access token ends."""
    sessionExpiresAt: int
    """When the session ends in any case, seconds since the Unix epoch."""


class LoginRequest(TypedDict):
    """Who wants to log in."""

    email: str
    """E-mail address."""
    password: str
    """Password."""
    resource: NotRequired[list[str] | None]
    """Whom the access tokens of the session are to be for, absolute URIs, 8 at most: some of those that the service
    lists for logins (`tokens.audiences`). This service alone unless given.
    """


LogoutScope = Literal[
    "local",
    "others",
    "global",
]
"""Which of the account's sessions a logout ends."""


class Problem(TypedDict):
    """Problem details (RFC 9457): every error of this API has this shape."""

    type: str
    """The kind of problem as a URI: `urn:hallpass:error:` and the code, which `/docs/errors#<code>` explains. It is
    the same at every service that answers for hallpass, so it names none of them.
    """
    title: str
    """The status in words."""
    status: int
    """The HTTP status code, again."""
    detail: str
    """What happened and what to do about it, for people."""
    code: ErrorCode
    """What happened, for programs."""
    errors: NotRequired[list[InvalidField]]
    """The fields that were refused, where it was fields."""


class RegisterRequest(TypedDict):
    """What somebody registers with. Anything else in the body, a role or an id, is ignored."""

    email: str
    """E-mail address, at most 254 bytes; upper and lower case are the same."""
    password: str
    """Password: at least 8 characters unless configured otherwise, at most 1,024 bytes, not a common one. Taken as
    it is sent, but that letters count as composed (NFC).
    """
    first_name: NotRequired[str | None]
    """First name, at most 100 characters."""
    last_name: NotRequired[str | None]
    """Last name, at most 100 characters."""


class Registered(TypedDict):
    """The account exists now."""

    id: int
    """The account's id."""
    first_name: str | None
    """First name, `null` if none was given."""
    last_name: str | None
    """Last name, `null` if none was given."""
    email: str
    """E-mail address, in lower case."""
    email_verified: bool
    """Whether the owner has proven that the address is theirs. Until then it may be anybody's."""
    message: str
    """What was done."""


class RegistrationTaken(TypedDict):
    """The registration was taken; what became of it is in the mail."""

    message: str
    """What was done."""


class TokenPair(TypedDict):
    """The next pair of tokens of the session."""

    accessToken: str
    """A signed JWT for `Authorization: Bearer`. Any service can check it with the keys at `/.well-known/jwks.json`."""
    refreshToken: str
    """Buys the next pair, once. Keep it secret; it is opaque. Empty with `Hallpass-Mode: cookie`: it is in the
    cookie.
    """
    tokenType: str
    """How to present the access token: always `Bearer`."""
    expiresIn: int
    """Seconds until the access token ends."""
    sessionExpiresAt: int
    """When the session ends in any case, seconds since the Unix epoch."""


class User(TypedDict):
    """An account as its owner sees it."""

    id: int
    """The account's id, never given twice."""
    first_name: str | None
    """First name, `null` if none was given."""
    last_name: str | None
    """Last name, `null` if none was given."""
    email: str
    """E-mail address, in lower case."""
    email_verified: bool
    """Whether the owner has proven that the address is theirs. Until then it may be anybody's."""


PATHS = {
    "register": "/auth/register",
    "login": "/auth/login",
    "refreshToken": "/auth/refresh-token",
    "logout": "/auth/logout",
}
"""Where the operations are, below the service's URL."""
