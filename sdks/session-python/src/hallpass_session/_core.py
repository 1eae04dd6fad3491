"""What a session is, and what it asks hallpass. Nothing here waits: those who do are told what for."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, cast

import httpx

from ._errors import HallpassError, error_of, unreachable
from ._openapi import PATHS, Login, Registered, RegistrationTaken, TokenPair, User
from ._patience import Clock, SystemClock, pause
from ._store import MemoryStore, Store

AHEAD = 0.25
"""Part of a token's lifetime that is left when it is renewed …"""
AHEAD_MAX = 60.0
"""… a minute at most, in seconds."""
AHEAD_AGAIN = 15.0
"""How long to leave a service alone that could not be asked ahead of time, in seconds."""
ANSWER_MAX = 20.0
"""How long an answer may keep silent, in seconds."""
REFRESH_MAX = 10.0
"""The same of a refresh, which is told the same again for the service's grace period only: 30 seconds."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a login."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    """By this device's clock, seconds since the Unix epoch."""
    lifetime: float
    """How long access tokens live, in seconds."""


@dataclass(frozen=True)
class Ended:
    """Nobody is logged in, and why; no reason where nobody was."""

    ended: str | None = None


Saved = Kept | Ended


@dataclass(frozen=True)
class Send:
    """Send this, and hand back the answer, read; nothing where none came."""

    request: httpx.Request = field(repr=False)


@dataclass(frozen=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


LOG = logging.getLogger("hallpass_session")

T = TypeVar("T")
Flow = Generator[Send | Sleep, httpx.Response | None, T]
"""An operation, told step by step to somebody who can wait, in a thread or in a loop."""


class Core:
    """The state of a session. Threads may share it."""

    def __init__(
        self, url: str, origins: Iterable[str], store: Store | None, wait_max: float, clock: Clock | None
    ) -> None:
        self.url = url.rstrip("/")
        self.origins = frozenset([origin_of(httpx.URL(url)), *map(checked_origin, origins)])
        self.store: Store = MemoryStore() if store is None else store
        self.wait_max = wait_max
        self.clock: Clock = SystemClock() if clock is None else clock
        self.listeners: list[Callable[[str], None]] = []
        self.ahead_from = 0.0
        self.failure: HallpassError | None = None
        """Why the last renewal failed, for those who waited for it."""
        self.renewals = 0
        self._turn = threading.RLock()
        self.saved: Saved = Ended()
        self.look()

    @property
    def kept(self) -> Kept | None:
        return self.saved if isinstance(self.saved, Kept) else None

    @property
    def user(self) -> User | None:
        return self.kept.user if self.kept else None

    @property
    def ended(self) -> str | None:
        return self.saved.ended if isinstance(self.saved, Ended) else None

    def on_ended(self, listener: Callable[[str], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener) if listener in self.listeners else None

    def is_named(self, url: httpx.URL) -> bool:
        return url.scheme in ("http", "https") and origin_of(url) in self.origins

    def is_over(self, kept: Kept) -> bool:
        return self.clock.now() >= kept.expires_at

    def is_due(self, kept: Kept) -> bool:
        """Whether it is time to renew it ahead of time."""
        due = kept.expires_at - min(AHEAD_MAX, kept.lifetime * AHEAD)
        return self.clock.now() >= max(due, self.ahead_from)

    def look(self) -> None:
        """Takes over what the store has: another program may have changed it."""
        self.commit(lambda _: None)

    def commit(self, decide: Callable[[Saved], Saved | None]) -> None:
        """Replaces what is saved, unless `decide` leaves it; nobody else saves meanwhile."""
        with self._turn:
            release = self.store.lock("store", True)
            try:
                now = self._load()
                after = decide(now)
                if after is not None:
                    self._save(written(self.url, after))
            finally:
                if release:
                    release()
            before, self.saved = self.saved, now if after is None else after
        if isinstance(before, Kept) and isinstance(self.saved, Ended):
            for listener in list(self.listeners):
                listener(self.saved.ended or "logged_out")

    def _save(self, text: str) -> None:
        try:
            self.store.save(text)
        except OSError:
            LOG.warning("the session's store cannot be written: it lives on in memory, and ends with this program")
            self.store = MemoryStore()
            self.store.save(text)

    def _load(self) -> Saved:
        return read(self.url, self.store.load() or "")

    def must_renew(self, used: str, seen: int) -> bool:
        """Whether that token is still the one, for whoever waited since there were `seen` renewals; raises what the last failed with."""
        if self.kept is None or self.kept.access_token != used:
            return False
        if self.renewals != seen and self.failure:
            raise self.failure.again()
        return True

    def postpone(self) -> None:
        """It could not be renewed ahead of time: the token at hand is good for a while yet."""
        self.ahead_from = self.clock.now() + AHEAD_AGAIN

    def leave(self) -> Kept | None:
        """Forgets the tokens; answers them."""
        left: list[Kept] = []

        def decide(now: Saved) -> Saved:
            kept = now if isinstance(now, Kept) else self.kept
            left.extend([kept] if kept else [])
            return Ended("logged_out") if kept else now

        self.commit(decide)
        return left[0] if left else None

    def replace(self, before: Kept, after: Saved) -> None:
        """Takes over what a renewal brought. Whoever logged in or out meanwhile knows better."""
        self.commit(lambda now: after if isinstance(now, Kept) and now.refresh_token == before.refresh_token else None)

    # What is asked of hallpass. How a refresh token travels is known here alone.

    def register(self, account: dict[str, Any]) -> Flow[Registered | RegistrationTaken]:
        answer, _ = yield from self._ask(PATHS["register"], account, is_undecided)
        return cast(Registered | RegistrationTaken, answer)

    def login(self, email: str, password: str) -> Flow[Kept]:
        answer, sent_at = yield from self._ask(PATHS["login"], {"email": email, "password": password}, is_undecided)
        login = cast(Login, answer)
        return kept_of(login, login["user"], sent_at)

    def refresh(self, kept: Kept, patient: bool = True) -> Flow[Kept]:
        """The next tokens. The same token may be redeemed again where an answer was lost."""
        again = is_no_verdict if patient else never
        body = {"refreshToken": kept.refresh_token}
        answer, sent_at = yield from self._ask(PATHS["refreshToken"], body, again, timeout=REFRESH_MAX)
        return kept_of(cast(TokenPair, answer), kept.user, sent_at)

    def renewal(self, used: str, patient: bool) -> Flow[None]:
        """Has another access token than that one, or an end; for whoever is alone with it, in all programs."""
        self.look()
        before = self.kept
        if before is None or before.access_token != used:
            return  # another program has done it
        after: Saved
        self.failure = None
        try:
            after = yield from self.refresh(before, patient)
        except HallpassError as error:
            if not error.is_verdict:
                self.failure = error
                raise
            after = Ended(error.code)
        finally:
            self.renewals += 1
        self.replace(before, after)

    def logout(self, kept: Kept, scope: str) -> Flow[None]:
        """Ends the session there. One that has ended already is no error."""
        headers = {"Authorization": f"Bearer {kept.access_token}"}
        body = {"refreshToken": kept.refresh_token}
        try:
            yield from self._ask(f"{PATHS['logout']}?scope={scope}", body, is_no_verdict, headers=headers)
        except HallpassError as error:
            if not error.is_verdict and error.code != "revocation_pending":
                raise

    def _ask(
        self,
        path: str,
        body: dict[str, Any],
        again: Callable[[HallpassError], bool],
        headers: dict[str, str] | None = None,
        timeout: float = ANSWER_MAX,
    ) -> Flow[tuple[Any, float]]:
        """The answer, and when it was asked for: it may have been read hours later."""
        tries = 0
        while True:
            tries += 1
            extensions = {"timeout": httpx.Timeout(timeout).as_dict()}
            request = httpx.Request("POST", self.url + path, json=body, headers=headers, extensions=extensions)
            sent_at = self.clock.now()
            answer = yield Send(request)
            outcome = self._outcome(answer)
            if not isinstance(outcome, HallpassError):
                return outcome, sent_at
            wait = pause(self.clock, tries, outcome.retry_after, self.wait_max) if again(outcome) else None
            if wait is None:
                raise outcome
            yield Sleep(wait)

    def _outcome(self, answer: httpx.Response | None) -> Any:
        if answer is None:
            return unreachable()
        if not answer.is_success:
            return error_of(answer, self.clock.now())
        try:
            return answer.json()
        except ValueError:
            return unreachable()  # a page of somebody else's, or half an answer


class Known(httpx.Auth):
    """What can be said of a session without waiting, for threads and for tasks."""

    _core: Core

    @property
    def user(self) -> User | None:
        """Who is logged in."""
        return self._core.user

    @property
    def ended(self) -> str | None:
        """Why the last session ended, until the next login: the code of hallpass' verdict, or `logged_out`."""
        return self._core.ended

    def on_ended(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Calls back with the reason when a session is over; answers what ends that."""
        return self._core.on_ended(listener)


def kept_of(tokens: Login | TokenPair, user: User, sent_at: float) -> Kept:
    lifetime = float(tokens["expiresIn"])
    return Kept(user, tokens["accessToken"], tokens["refreshToken"], sent_at + lifetime, lifetime)


def is_undecided(error: HallpassError) -> bool:
    """Nothing was decided, and the service says so."""
    return error.status == 503 and error.code != "revocation_pending"


def is_no_verdict(error: HallpassError) -> bool:
    """No verdict; what can be sent twice without harm is sent again."""
    return is_undecided(error) or error.status is None or error.status in (408, 429, 500, 502, 504)


def never(_: HallpassError) -> bool:
    return False


def origin_of(url: httpx.URL) -> str:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.host}:{port}"


def checked_origin(origin: str) -> str:
    """Refuses what is more than an origin, so that nobody takes a path for a limit."""
    url = httpx.URL(origin) if origin.startswith(("http://", "https://")) else None
    if url is None or not url.host or any(letter in origin.split("://", 1)[1] for letter in "/?#@"):
        raise ValueError(f"{origin!r} is no origin: write scheme, host and port alone, as in https://api.example.com")
    return origin_of(url)


def written(url: str, saved: Saved) -> str:
    return json.dumps({"url": url, **asdict(saved)})


def read(url: str, text: str) -> Saved:
    """What a store has; something else in it, or another hallpass' session, counts as nothing."""
    try:
        members = json.loads(text)
        if members.pop("url") != url:
            return Ended()
        return Ended(**members) if "ended" in members else Kept(**members)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Ended()
