"""The whole check of a token: signature, claims, times, revocation, and whether it is enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import errors
from ._claims import Claims
from ._clock import Clock
from ._key_keeper import KeyKeeper
from ._listener import Feed
from ._verifier import KnownToken, Rules, check_times, plain

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
_BLANK = " \t\n\f\r"


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was accepted."""

    payload: dict[str, Any]
    """Know people by `sub`. `email` may be anybody's until `email_verified` is true."""
    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a caller needs beside a token that is right."""

    scopes: Sequence[str] = ()
    """All of these. hallpass gives scopes to machines alone."""
    roles: Sequence[str] = ()
    """All of these."""
    max_auth_age: int | None = None
    """The person proved who they are no longer ago than that, seconds (claim `auth_time`)."""
    machines: bool = False
    """Lets machines in as well: tokens that a client got for itself (RFC 6749 4.4). Any client can get one."""

    def permit(self, claims: Claims, auth_time: object, now: int) -> None:
        """Raises what speaks against letting the caller in; `now` in seconds since 1970."""
        if claims.sid is None and not self.machines:
            raise errors.machine()
        for role in self.roles:
            if role not in claims.roles:
                raise errors.no_role(role)
        words = (claims.scope or "").split(" ")
        for scope in self.scopes:
            if not scope or scope not in words:
                raise errors.no_scope(scope)
        if self.max_auth_age is not None and not _is_recent(auth_time, self.max_auth_age, now):
            raise errors.too_long_ago(self.max_auth_age)


def _is_recent(auth_time: object, max_age: int, now: int) -> bool:
    return isinstance(auth_time, int) and type(auth_time) is int and now - auth_time <= max_age


class Check:
    """What this process knows of tokens on its own. Any thread may ask."""

    def __init__(
        self, keys: KeyKeeper, feed: Feed, rules: Rules, clock: Clock, max_staleness_ms: float, allows_stale: bool
    ) -> None:
        self._keys = keys
        self._feed = feed
        self._rules = rules
        self._clock = clock
        self._max_staleness_ms = max_staleness_ms
        self._allows_stale = allows_stale

    def known(self, token: str) -> KnownToken:
        """A token whose signature, claims and times are right. Raises TokenError, and UnknownKid."""
        return self._timely(self._keys.verify(token))

    async def known_settled(self, token: str) -> KnownToken:
        """The same for a token whose key is not known: the issuer is asked first."""
        return self._timely(await self._keys.verify_settled(token))

    def _timely(self, known: KnownToken) -> KnownToken:
        check_times(known.claims, self._rules, self._clock.seconds())
        return known

    def stands(self, known: KnownToken) -> bool:
        """Whether it is known that nothing speaks against a token; false when what is known is too old to say.

        Raises TokenError when something does, however old that is.
        """
        # The age before the list: the list may only be younger than the age that is judged.
        age = self._feed.age()
        if self._feed.denylist.is_revoked(known.claims, known.kid):
            raise errors.revoked()
        # A list that is too old says yes to nothing, unless that was set.
        return self._allows_stale or self.is_fresh(age)

    def is_fresh(self, age: float | None = None) -> bool:
        """Whether knowledge of that age, milliseconds, is young enough."""
        return (self._feed.age() if age is None else age) <= self._max_staleness_ms

    def permitted(self, known: KnownToken, needs: Requirements) -> Verified:
        """What a token says, where that is enough. Raises TokenError."""
        verified = Verified(plain(known.payload), plain(known.header))
        needs.permit(known.claims, verified.payload.get("auth_time"), self._clock.seconds())
        return verified


def stale() -> errors.TokenError:
    return errors.cannot_tell("the issuer's revocations have not been heard of for too long")


def bearer_token(authorization: Sequence[str]) -> str:
    """The token of a request (RFC 6750 2.1), by the values of all its `Authorization` headers. Raises TokenError.

    Another scheme's credentials are no token. Several headers are refused: whoever stands before this service may have looked
    at another one of them.
    """
    if not authorization:
        raise errors.no_token()
    if len(authorization) > 1:
        raise errors.malformed()
    scheme, _, token = authorization[0].strip(_BLANK).partition(" ")
    if scheme.lower() != "bearer":
        raise errors.no_token()
    token = token.lstrip(_BLANK)
    if not _TOKEN.fullmatch(token):
        raise errors.malformed()
    return token
