"""Times: of this machine, and of the issuer by this machine's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_CLOCK = "hallpass-clock"
"""What the issuer's clock showed when it wrote the answer, milliseconds."""
_GOOD_FOR_MS = 5 * 60 * 1000
"""For how long the bound is good."""
_DRIFT_MS = 250
"""By how much a statement may lie ahead of its arrival: what clocks drift apart by meanwhile."""
_SETTLING_MS = 1000
"""By how much statements may become younger while one bound holds: they are up to a second old when they are made."""
_MEASURED_AGAIN_MS = 10 * 1000
"""How long after a measurement another one is of use where statements are too old."""
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def _since_boot() -> float:
    """The monotonic clock stands on Linux while the machine sleeps; this one does not."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where times come from, seconds; for tests, from elsewhere."""

    now: Callable[[], float] = time.time
    """The time of day, since 1970."""
    monotonic: Callable[[], float] = _since_boot
    """Since some moment, with the time in which the machine slept. Setting the time of day does not move it."""

    def seconds(self) -> int:
        return int(self.now() // 1)

    def millis(self) -> int:
        """Of the monotonic clock."""
        return int(self.monotonic() * 1000 // 1)


class ClockWasSet(Exception):
    """The bound does not hold for what the issuer says."""

    def __init__(self) -> None:
        super().__init__("the issuer's clock seems to have been set")


class IssuerClock:
    """The issuer's clock against the local one, as one answer bounds it. All times are whole milliseconds.

    A statement that arrives late is as old as it is late, so what counts is the moment that it names. The issuer looks at its
    clock after the request was sent; of all that is possible the bound takes what makes statements oldest.
    """

    def __init__(self, showed: int, asked_at: int, answered_at: int) -> None:
        self._showed = showed
        self._asked_at = asked_at
        self._answered_at = answered_at
        self._latest_ms: int | None = None
        """The most that a statement was late by since."""

    @classmethod
    def of_answer(cls, asked_at: int, answered_at: int, headers: Mapping[str, str]) -> IssuerClock | None:
        """What an answer says about the clock, between the moments at which it was asked for and came."""
        showed = whole_number(headers.get(_CLOCK))
        return None if showed is None else cls(showed, asked_at, answered_at)

    def moment_in_answer(self, stated: int) -> int | None:
        """When something was true that the very answer says; None where it cannot have been."""
        return self._earliest(stated) if stated <= self._showed else None

    def moment_of(self, stated: int, heard_at: int) -> int:
        """When something was true that was heard later. Raises ClockWasSet."""
        moment = self._earliest(stated)
        late_ms = heard_at - moment
        self._latest_ms = late_ms if self._latest_ms is None else max(self._latest_ms, late_ms)
        if late_ms < -_DRIFT_MS or self._latest_ms - late_ms > _SETTLING_MS:
            raise ClockWasSet
        return min(moment, heard_at)

    def is_over(self, now: int) -> bool:
        """Whether it should be measured again."""
        return now - self._asked_at >= _GOOD_FOR_MS

    def may_be_wrong(self, now: int) -> bool:
        """Whether measuring again may help where statements are too old to be of use."""
        return now - self._answered_at >= _MEASURED_AGAIN_MS

    def _earliest(self, stated: int) -> int:
        # It showed a part of a millisecond more.
        return self._asked_at - (self._showed - stated + 1)


def whole_number(text: str | None) -> int | None:
    """A header's number; None where it is none."""
    text = (text or "").strip(" \t")
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None
