"""What has been taken back, as far as this process knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from ._claims import Claims, uuid
from ._json import I64, U64, JsonError, Members, Object, required

K = TypeVar("K")

_NAMES = frozenset("jti sid sub kid all sv inc partition exp".split())
_PEOPLE = 64
"""Partitions of people; what is no person's belongs to the one behind."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_LAST_SECOND = 2**32 - 1
"""Ends beyond the year 2106 never come."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """One thing that was taken back. `exp`: until when that matters, seconds since 1970."""

    kind: str
    key: str | int
    """Which token, session or key; which subject; which partition, or -1 for all."""
    below: int
    """The least number that stands, of subjects and partitions."""
    exp: int


def read_revocation(entry: Object) -> Revocation:
    """Reads an entry of the feed.

    Raises ValueError for one of no kind that is known here: passing over it would let in what the issuer has taken back.
    """
    members = entry.members(_NAMES).without_null("exp")
    exp = required(members.whole_number("exp", I64))
    kind, key, below = _target(" ".join(sorted(members.keys() - {"exp"})), members)
    return Revocation(kind, key, below, exp)


def _target(names: str, members: Members) -> tuple[str, str | int, int]:
    match names:
        case "jti" | "sid":
            return names, uuid(required(members.text(names))), 0
        case "kid":
            return names, required(members.text("kid")), 0
        case "sub sv":
            return "sub", required(members.text("sub")), required(members.whole_number("sv", I64))
        case "all inc" | "all inc partition" if members.flag("all"):
            partition = members.whole_number("partition", range(_PEOPLE + 1))
            below = required(members.whole_number("inc", U64))
            return "all", -1 if partition is None else partition, below
    raise JsonError("a revocation of a kind that is not known here")


def partition_of(sub: str) -> int:
    """The part of the issuer's memory that a token with this `sub` belongs to."""
    number = int(sub) if _NUMBER.fullmatch(sub) else U64.stop
    return number % _PEOPLE if number in U64 else _PEOPLE


def is_account(sub: str) -> bool:
    """Whether a `sub` is that of an account: a number."""
    return partition_of(sub) < _PEOPLE


class Denylist:
    """Revocations by what they concern. One thread writes; any may read."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str | int, int]] = {"jti": {}, "sid": {}, "kid": {}}
        self._cut_offs: dict[str, dict[str | int, tuple[int, int]]] = {"sub": {}, "all": {}}

    def insert(self, revocation: Revocation) -> None:
        """Takes in a revocation. Twice the same is as good as once."""
        kind, key, exp = revocation.kind, revocation.key, _expiry(revocation.exp)
        if kind in self._ids:
            ids = self._ids[kind]
            ids[key] = max(exp, ids.get(key, 0))
            return
        # Of two cut-offs both hold, which is the greater one for as long as either.
        below, end = self._cut_offs[kind].get(key, (revocation.below, exp))
        self._cut_offs[kind][key] = (max(below, revocation.below), max(end, exp))

    def is_revoked(self, claims: Claims, kid: str) -> bool:
        """Whether anything here speaks against a token with these claims that the key `kid` signed."""
        subject = self._cut_offs["sub"].get(claims.sub)
        return (
            claims.jti in self._ids["jti"]
            or (claims.sid is not None and claims.sid in self._ids["sid"])
            or kid in self._ids["kid"]
            # A token without a version is older than any.
            or (subject is not None and (claims.sv is None or claims.sv < subject[0]))
            or any(map(self._is_deleted, (claims.client_id, *claims.actors)))
            or any(
                claims.inc < cut_off[0]
                for part in (-1, partition_of(claims.sub))
                if (cut_off := self._cut_offs["all"].get(part))
            )
        )

    def _is_deleted(self, client: str) -> bool:
        """Whether that is a client which was deleted: what is told of an account says nothing about clients."""
        return client in self._cut_offs["sub"] and not is_account(client)

    def prune(self, now: int) -> None:
        """Forgets the entries that ended at `now`, seconds since 1970, or before."""
        end = _expiry(now)
        # Whoever reads meanwhile sees either.
        self._ids = {kind: {key: exp for key, exp in ids.items() if exp > end} for kind, ids in self._ids.items()}
        self._cut_offs = {
            kind: {key: cut_off for key, cut_off in cut_offs.items() if cut_off[1] > end}
            for kind, cut_offs in self._cut_offs.items()
        }

    def __len__(self) -> int:
        return sum(map(len, self._ids.values())) + sum(map(len, self._cut_offs.values()))


def _expiry(seconds: int) -> int:
    return min(max(seconds, 0), _LAST_SECOND)
