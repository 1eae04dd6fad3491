"""What goes wrong, without anything secret in it."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ._openapi import InvalidField


class HallpassError(Exception):
    """A request that did not succeed. It holds no token, no password and no request."""

    def __init__(
        self,
        code: str,
        detail: str,
        status: int | None = None,
        retry_after: float | None = None,
        fields: Sequence[InvalidField] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        """
        What went wrong: program against this. Beside the codes of the service's problems (`ErrorCode`) there are
        `unreachable` (no answer came) and `unexpected_answer` (something answered that is not hallpass); a later
        service may know more.
        """
        self.status = status
        """The HTTP status; none where no answer came."""
        self.retry_after = retry_after
        """For how many seconds to leave the service alone, where it said so."""
        self.fields = tuple(fields)
        """The fields that were refused."""
        self.request_id = request_id
        """What the service's log has this request under (`X-Request-Id`)."""

    def again(self) -> HallpassError:
        """The same for somebody else who waited."""
        return HallpassError(self.code, str(self), self.status, self.retry_after, self.fields, self.request_id)

    @property
    def is_verdict(self) -> bool:
        """Whether the service has said that this token, or its session, counts no more."""
        return self.status == 401 and self.code != "unexpected_answer"


def unreachable() -> HallpassError:
    return HallpassError("unreachable", "hallpass does not answer.")


def problem_of(answer: httpx.Response) -> dict[str, Any] | None:
    """The problem in an answer that was read (RFC 9457); none where a proxy answered."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) and isinstance(body.get("code"), str) else None


def retry_after(answer: httpx.Response, now: float) -> float | None:
    """Seconds of `Retry-After`, which is a number or a date (RFC 9110 10.2.3)."""
    header = answer.headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return None


def error_of(answer: httpx.Response, now: float) -> HallpassError:
    """The error that an answer is."""
    problem = problem_of(answer) or {}
    return HallpassError(
        problem.get("code", "unexpected_answer"),
        str(problem.get("detail", f"The answer was {answer.status_code}, and not hallpass' own.")),
        answer.status_code,
        retry_after(answer, now),
        problem.get("errors", ()),
        answer.headers.get("X-Request-Id"),
    )
