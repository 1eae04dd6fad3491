"""What is answered to a request that is not let in, and what went wrong with the issuer."""

from __future__ import annotations

from typing import Any

PROBLEM_TYPE = "application/problem+json"
"""The media type of a problem (RFC 9457)."""

_TITLES = {401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}
_RETRY_AFTER = 1
"""Seconds that a client is asked to wait after a 503: staleness mends itself within a heartbeat."""


class TokenError(Exception):
    """Why a token was not accepted, and what to answer. It quotes nothing of the token.

    401 and 403 are verdicts. 503 says that none could be made: never accept the token then, and never call it wrong.
    """

    def __init__(self, status: int, code: str, message: str, www_authenticate: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.www_authenticate = www_authenticate
        """The value of `WWW-Authenticate` beside a 401 and a 403 (RFC 6750 3)."""
        self.retry_after = _RETRY_AFTER if status == 503 else None
        """The value of `Retry-After` beside a 503, seconds."""

    @property
    def is_verdict(self) -> bool:
        """Whether something was decided about the token. If not, a client may try again with it."""
        return self.status != 503

    @property
    def problem(self) -> dict[str, Any]:
        """The body to answer with."""
        message = str(self)
        return {
            "type": f"urn:hallpass:error:{self.code}",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": f"{message[:1].upper()}{message[1:]}.",
            "code": self.code,
        }

    @property
    def headers(self) -> dict[str, str]:
        """The headers to answer with, beside the media type."""
        headers = {}
        if self.www_authenticate is not None:
            headers["WWW-Authenticate"] = self.www_authenticate
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers


class SettingsError(ValueError):
    """Settings that do not fit together."""


class MetadataError(Exception):
    """The issuer does not say that it has what is needed (RFC 8414)."""


class IssuerError(Exception):
    """Why a request to the issuer brought nothing."""

    def __init__(self, message: str, status: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, where there was an answer at all."""
        self.retry_after = retry_after
        """How long the issuer asked to be left alone, seconds."""


def _refused(code: str, message: str) -> TokenError:
    return TokenError(401, code, message, f'Bearer error="invalid_token", error_description="{message}"')


def no_token() -> TokenError:
    """No token came: 401 without an error code (RFC 6750 3.1)."""
    return TokenError(401, "authentication_required", "an access token is needed", "Bearer")


def invalid(message: str) -> TokenError:
    return _refused("invalid_token", message)


def malformed() -> TokenError:
    return invalid("the token is malformed")


def unknown_key() -> TokenError:
    return invalid("the token names no known key")


def expired() -> TokenError:
    return _refused("token_expired", "the token has expired")


def revoked() -> TokenError:
    return _refused("token_revoked", "the token has been revoked")


def cannot_tell(why: str | BaseException) -> TokenError:
    """Not a verdict."""
    error = TokenError(503, "dependency_unavailable", "the token cannot be checked right now")
    error.__cause__ = IssuerError(why) if isinstance(why, str) else why
    return error


_NOT_ENOUGH = 'Bearer error="insufficient_scope"'


def machine() -> TokenError:
    """Nobody is logged in by the token: a client got it for itself."""
    return TokenError(403, "forbidden", "a person's token is needed", _NOT_ENOUGH)


def no_role(role: str) -> TokenError:
    return TokenError(403, "forbidden", f"the role {role} is needed", _NOT_ENOUGH)


def no_scope(scope: str) -> TokenError:
    """The challenge names the scope that would do (RFC 6750 3.1), where no character of it would end the quoted string."""
    is_quotable = all(" " <= character <= "~" and character not in '"\\' for character in scope)
    challenge = f'{_NOT_ENOUGH}, scope="{scope}"' if is_quotable else _NOT_ENOUGH
    return TokenError(403, "insufficient_scope", f"the scope {scope} is needed", challenge)


def too_long_ago(max_age: int) -> TokenError:
    """The person has to prove anew who they are (RFC 9470 3); `max_age` in seconds."""
    challenge = f'Bearer error="insufficient_user_authentication", max_age="{max_age}"'
    return TokenError(401, "insufficient_user_authentication", "the login is too long ago", challenge)
