from __future__ import annotations

import re
from dataclasses import dataclass

from ._json import I64, U64, JsonError, Members, Object, required

_NAMES = frozenset(
    "iss aud sub exp iat nbf jti sid sv inc client_id email email_verified auth_time amr acr roles scope act may_act".split()
)
_ACTOR_NAMES = frozenset(("sub", "act"))
_DEEPEST_CHAIN = 126
"""How many may have acted one for the other."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of an access token (RFC 9068 2.2) that a check goes by. A machine's token has no `sid` and no `sv`."""

    iss: str
    aud: list[str]
    sub: str
    exp: int
    iat: int
    nbf: int | None
    jti: str
    """32 hexadecimal digits, as of `sid`."""
    sid: str | None
    sv: int | None
    inc: int
    client_id: str
    actors: list[str]
    """Who acts for the subject (RFC 8693 4.1), the present actor first."""
    roles: list[str]
    scope: str | None


def read_claims(payload: Object) -> Claims:
    """Reads claims: each has exactly the type that hallpass writes.

    Raises ValueError where one is missing, of another type, `null`, or there twice.
    """
    members = payload.members(_NAMES)
    members.text("email")
    members.flag("email_verified")
    members.whole_number("auth_time", I64)
    members.texts("amr")
    members.text("acr")
    if (may_act := members.object("may_act")) is not None:
        required(may_act.members(("sub",)).text("sub"))
    sid = members.text("sid")
    return Claims(
        iss=required(members.text("iss")),
        aud=required(members.text_or_texts("aud")),
        sub=required(members.text("sub")),
        exp=required(members.whole_number("exp", I64)),
        iat=required(members.whole_number("iat", I64)),
        nbf=members.whole_number("nbf", I64),
        jti=uuid(required(members.text("jti"))),
        sid=None if sid is None else uuid(sid),
        sv=members.whole_number("sv", I64),
        inc=required(members.whole_number("inc", U64)),
        client_id=required(members.text("client_id")),
        actors=_actors(members),
        roles=required(members.texts("roles")),
        scope=members.text("scope"),
    )


def _actors(members: Members) -> list[str]:
    chain: list[str] = []
    while (act := members.object("act")) is not None:
        if len(chain) == _DEEPEST_CHAIN:
            raise JsonError("too deep")
        members = act.members(_ACTOR_NAMES)
        chain.append(required(members.text("sub")))
    return chain


_HYPHENATED = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(rf"[0-9a-f]{{32}}|(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}", re.ASCII | re.IGNORECASE)


def uuid(text: str) -> str:
    """A UUID (RFC 9562) in one spelling of many. Raises ValueError where the text is none."""
    if not _UUID.fullmatch(text):
        raise ValueError("not a UUID")
    return text.lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
