from __future__ import annotations

import random

_FIRST = 0.1
"""The pause before the first new attempt, seconds."""
_LONGEST = 5.0
"""No pause is longer: a feed that is back is to be found within seconds."""
_LONGEST_ASKED_FOR = 30.0
"""No server's `Retry-After` makes us wait longer."""


class Backoff:
    """Pauses between attempts, in seconds: twice as long each time, and shortened by chance, so that not all come at once."""

    def __init__(self) -> None:
        self._attempts = 0

    def next(self, asked_for: float | None = None) -> float:
        """The next pause, at least as long as the other side asked for."""
        full: float = min(_FIRST * 2.0 ** min(self._attempts, 16), _LONGEST)
        self._attempts += 1
        return max(full / 2 * (1 + random.random()), min(asked_for or 0.0, _LONGEST_ASKED_FOR))

    def soon(self) -> float:
        """A pause of chance that counts as no attempt: nothing went wrong."""
        return _FIRST * random.random()

    def reset(self) -> None:
        """All went well: begin with the short pauses again."""
        self._attempts = 0
