"""When to try again, and when to stop."""

from __future__ import annotations

import random
import time
from typing import Protocol

import anyio

TRIES_MAX = 5
"""How often one request is sent at most."""
BACKOFF = 0.5
"""The first back-off, in seconds; it doubles with each try."""


class Clock(Protocol):
    """The time and chance that a session goes by. Tests hand in their own."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""

    def random(self) -> float:
        """At least 0 and less than 1."""

    def sleep(self, seconds: float) -> None:
        """Waits, and the thread with it."""

    async def async_sleep(self, seconds: float) -> None:
        """Waits, and lets others run."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def random(self) -> float:
        return random.random()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def pause(clock: Clock, tries: int, said: float | None, wait_max: float) -> float | None:
    """
    How many seconds to wait after so many tries: never less than the service says (`said`), and a bit more by chance, so
    that those who were sent away together do not come back together. None: do not try again.
    """
    if tries >= TRIES_MAX or (said or 0) > wait_max:
        return None
    least = max(said or 0.0, BACKOFF * 2.0 ** (tries - 1))
    return least + clock.random() * min(least, 1.0)
