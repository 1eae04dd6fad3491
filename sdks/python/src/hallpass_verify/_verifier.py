"""Signature and claims of a token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from . import errors
from ._base64url import decode
from ._claims import Claims, read_claims
from ._json import Object, read_object, required
from ._keys import KeySet

T = TypeVar("T")

_TOKEN_MAX_BYTES = 8 * 1024
_HEADER = frozenset("alg kid typ jku jwk x5u x5c crit".split())
_UNWANTED = frozenset("jku jwk x5u x5c crit".split())
"""A key that comes with the token proves nothing (CVE-2018-0114), and no critical parameter is known (RFC 7515 4.1.11)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is compared with what tokens say."""

    issuer: str
    audiences: tuple[str, ...]
    """One of them is enough."""
    typ: str
    leeway: int
    """By how much the issuer's clock and this machine's may differ, whole seconds."""


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token whose signature, type, issuer and audience are right. Times and revocation are checked on every use."""

    claims: Claims
    kid: str
    payload: Object
    header: Object


class UnknownKid(Exception):
    """The header names no key that is known here: a verdict once the issuer has been asked for newer ones."""


def verify(token: str, keys: KeySet, rules: Rules) -> KnownToken:
    """Checks everything but times and revocation.

    Raises TokenError, and UnknownKid.
    """
    if len(token.encode(errors="surrogatepass")) > _TOKEN_MAX_BYTES:
        raise errors.invalid("the token is too long")
    parts = token.split(".")
    if len(parts) != 3:
        raise errors.malformed()
    header, alg, kid, typ = _or_malformed(lambda: _header(parts[0]))
    key = None if kid is None else keys.find(kid)
    if kid is None or key is None:
        raise UnknownKid
    if alg != key.algorithm:
        raise errors.invalid("the token's algorithm is not its key's")
    signature = _or_malformed(lambda: decode(parts[2]))
    if not key.signed(f"{parts[0]}.{parts[1]}".encode(), signature):
        raise errors.invalid("the token's signature is wrong")
    payload, claims = _or_malformed(lambda: _claims(parts[1]))
    _check_claims(claims, typ, rules)
    return KnownToken(claims, kid, payload, header)


def check_times(claims: Claims, rules: Rules, now: int) -> None:
    """The one place that compares a token's times (RFC 7519 4.1.4 to 4.1.6); `now` in whole seconds since 1970."""
    latest_start = now + rules.leeway
    if claims.iat > latest_start or (claims.nbf is not None and claims.nbf > latest_start):
        raise errors.invalid("the token is not valid yet")
    if now >= claims.exp + rules.leeway:
        raise errors.expired()


def is_of_type(typ: str | None, expected: str) -> bool:
    """Media types compare without case, and `application/` may be left out (RFC 7515 4.1.9)."""
    return typ is not None and typ.lower().removeprefix("application/") == expected.lower()


def plain(value: Any) -> Any:
    """A value as `json` gives it, a copy for whoever asked."""
    if isinstance(value, Object):
        return {name: plain(member) for name, member in value}
    return [plain(element) for element in value] if isinstance(value, list) else value


def _header(part: str) -> tuple[Object, str, str | None, str | None]:
    header = _object(part)
    members = header.members(_HEADER)
    if not _UNWANTED.isdisjoint(members):
        raise errors.malformed()
    # Here `null` is as good as silence.
    members = members.without_null("alg")
    return header, required(members.text("alg")), members.text("kid"), members.text("typ")


def _claims(part: str) -> tuple[Object, Claims]:
    payload = _object(part)
    return payload, read_claims(payload)


def _object(part: str) -> Object:
    return read_object(decode(part).decode())


def _check_claims(claims: Claims, typ: str | None, rules: Rules) -> None:
    if not is_of_type(typ, rules.typ):
        raise errors.invalid("the token is not an access token")
    if claims.iss != rules.issuer:
        raise errors.invalid("the token is from another issuer")
    if not any(audience in rules.audiences for audience in claims.aud):
        raise errors.invalid("the token is for another audience")
    # A security event is told by its number alone: it could not concern this token.
    if claims.sid is not None and claims.sv is None:
        raise errors.invalid("the token has no security version")


def _or_malformed(read: Callable[[], T]) -> T:
    try:
        return read()
    except (ValueError, errors.TokenError):
        raise errors.malformed() from None
