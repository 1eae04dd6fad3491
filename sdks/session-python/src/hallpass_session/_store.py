"""Where a session outlives its program."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

try:
    import fcntl
except ImportError:  # Windows: programs that refresh at the same time get the same successor
    fcntl = None  # type: ignore[assignment]


class Store(Protocol):
    """Keeps one text. What it keeps is secret: whoever reads it is logged in."""

    def load(self) -> str | None:
        """The text that was saved last."""

    def save(self, text: str) -> None:
        """Replaces the text."""

    def lock(self, what: str, blocking: bool) -> Callable[[], None] | None:
        """
        Keeps out all others who share the store and lock the same; answers what ends that. None where somebody else has
        the lock and `blocking` is false.
        """


class MemoryStore:
    """For as long as the program runs."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def load(self) -> str | None:
        return self._text

    def save(self, text: str) -> None:
        self._text = text

    def lock(self, what: str, blocking: bool) -> Callable[[], None] | None:
        lock = self._locks[what]
        return lock.release if lock.acquire(blocking=blocking) else None


class FileStore:
    """
    A file that its owner alone can read: survives a restart, and all programs with the same file share the session. The
    folder has to exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> str | None:
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return None

    def save(self, text: str) -> None:
        # In one step: whoever reads meanwhile, or after a crash, finds all of the old or all of the new.
        handle, name = tempfile.mkstemp(prefix=self._path.name, dir=self._path.parent)  # 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def lock(self, what: str, blocking: bool) -> Callable[[], None] | None:
        if fcntl is None:
            return lambda: None
        path = self._path.with_name(f"{self._path.name}.{what}.lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        return lambda: os.close(handle)
