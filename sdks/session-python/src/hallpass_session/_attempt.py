"""One request to an API, with all that may become of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import httpx

from ._core import Core, Kept, Sleep
from ._errors import problem_of, retry_after
from ._patience import pause

RENEWABLE = ("token_expired", "token_revoked")
"""Codes of a 401 by which another access token may be let in. Others, and those of other services, are for the app."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110 9.2.1)."""


@dataclass(frozen=True)
class Access:
    """Hand back a login whose token lives; nothing where there is none."""


@dataclass(frozen=True)
class Renew:
    """Have another access token than this one, and hand back the login; nothing where it has ended."""

    used: str = field(repr=False)


Step = httpx.Request | Access | Renew | Sleep


def attempt(core: Core, request: httpx.Request) -> Generator[Step, Any, None]:
    """
    Sends a request with an access token, as often as it takes. Steps that are requests want an answer, read where it is
    401 or 503.
    """
    # Whoever sets the header knows better.
    if not core.is_named(request.url) or "Authorization" in request.headers:
        yield request
        return
    kept: Kept | None = yield Access()
    tries, has_renewed = 0, False
    while True:
        tries += 1
        if kept:
            request.headers["Authorization"] = f"Bearer {kept.access_token}"
        answer: httpx.Response = yield request
        problem = problem_of(answer) if answer.status_code in (401, 503) else None
        if answer.status_code == 401:
            if kept is None or has_renewed or problem is None or problem["code"] not in RENEWABLE:
                return
            has_renewed = True
            after: Kept | None = yield Renew(kept.access_token)
            if not is_same_person(kept, after):
                return
            kept = after
            continue
        if answer.status_code != 429 and not (answer.status_code == 503 and is_undecided(request, problem)):
            return
        # No Retry-After, no invitation: the answer is the app's to judge.
        said = retry_after(answer, core.clock.now())
        wait = None if said is None else pause(core.clock, tries, said, core.wait_max)
        if wait is None:
            return
        yield Sleep(wait)
        after = yield Access()
        kept = after if is_same_person(kept, after) else kept


def is_same_person(before: Kept | None, after: Kept | None) -> bool:
    """What one person asked for is never sent in another's name."""
    return before is not None and after is not None and before.user["id"] == after.user["id"]


def is_undecided(request: httpx.Request, problem: dict[str, Any] | None) -> bool:
    """
    A 503 of those who check tokens means that nothing was done; of any other, only what changes nothing may be sent
    again.
    """
    if problem and problem["code"] == "revocation_pending":
        return False
    return request.method in SAFE or str((problem or {}).get("type")).startswith("urn:hallpass:error:")
