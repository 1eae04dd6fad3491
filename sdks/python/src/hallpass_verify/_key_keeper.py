"""The issuer's keys, fetched again before they are out of date; and when a token names an unknown one, but not for each."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import threading
from collections.abc import Mapping
from typing import Protocol

import httpx

from ._backoff import Backoff
from ._clock import Clock
from ._http import SHORT_ANSWER, Answer, Request, unreadable
from ._keys import KeySet
from ._verifier import KnownToken, Rules, UnknownKid, verify
from .errors import IssuerError, cannot_tell, unknown_key

_log = logging.getLogger("hallpass_verify")
_UNTOLD_MAX_AGE = 300
"""For an issuer that does not say how long its keys are good, seconds."""
_LONGEST_MAX_AGE = 86_400
"""Keys are asked for once a day at least."""
_MAX_AGE = re.compile(r'max-age="?([0-9]{1,19})"?', re.ASCII | re.IGNORECASE)


class Sender(Protocol):
    """What sends requests."""

    async def send(self, request: Request, limit: int = SHORT_ANSWER) -> Answer: ...


class TokenCache:
    """Tokens that were found right before: the signature is what a check costs. For at most about `capacity` of them.

    Only right tokens get in, so nobody without a key can push others out. Two halves: when the young one is full, it becomes
    the old one. Any thread may use it.
    """

    def __init__(self, capacity: int) -> None:
        self._half = math.ceil(capacity / 2)
        self._lock = threading.Lock()
        self._young: dict[str, KnownToken] = {}
        self._old: dict[str, KnownToken] = {}

    def find(self, token: str) -> KnownToken | None:
        with self._lock:
            known = self._young.get(token)
            if known is None and (known := self._old.get(token)):
                self._insert(token, known)
            return known

    def insert(self, token: str, known: KnownToken) -> None:
        with self._lock:
            self._insert(token, known)

    def _insert(self, token: str, known: KnownToken) -> None:
        if self._half == 0:
            return
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[token] = known

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class KeyKeeper:
    """Keys and who wants newer ones. Any thread may `verify`; all else is for the event loop."""

    def __init__(self, http: Sender, rules: Rules, clock: Clock, cool_down: float, cached_tokens: int) -> None:
        self.url: httpx.URL | None = None
        self._http = http
        self._rules = rules
        self._clock = clock
        self._cool_down = cool_down
        self._cached_tokens = cached_tokens
        self._ring: tuple[KeySet, TokenCache] | None = None
        """Other keys, and the tokens that were verified by them are forgotten."""
        self._known: tuple[str, str | None] | None = None
        """The set in use as it came, and its tag."""
        self._is_failing = False
        self._wanted_at = -math.inf
        """The end of the last fetch that brought the keys because somebody wanted them."""
        self._good_until = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def __len__(self) -> int:
        return 0 if self._ring is None else len(self._ring[0])

    def verify(self, token: str) -> KnownToken:
        """Checks everything but times and revocation. Raises TokenError, and UnknownKid."""
        if self._ring is None:
            raise cannot_tell("the issuer's keys have not been fetched yet")
        keys, cache = self._ring
        known = cache.find(token)
        if known is None:
            known = verify(token, keys, self._rules)
            cache.insert(token, known)
        return known

    async def verify_settled(self, token: str) -> KnownToken:
        """The same for a token whose key is not known: the issuer is asked for its keys first, once a cool-down."""
        await self._settle()
        try:
            return self.verify(token)
        except UnknownKid:
            raise unknown_key() from None

    async def _settle(self) -> None:
        if not self._is_failing:
            if self._now() - self._wanted_at < self._cool_down:
                return
            try:
                await self.fetch(wanted=True)
            except Exception as error:  # It is no verdict, whatever it is.
                _log.warning("the issuer's keys cannot be fetched: %s", error)
        if self._is_failing:
            raise cannot_tell("the token names an unknown key, and the keys cannot be fetched")

    def want(self) -> None:
        """Asks for a fetch as soon as the cool-down allows one: a key was revoked."""
        self._wanted.set()

    async def run(self) -> None:
        """Keeps the keys up to date for ever."""
        backoff = Backoff()
        while True:
            wanted = await self._rest()
            try:
                await self.fetch(wanted)
                backoff.reset()
            except Exception as error:  # Whatever it is, the keys are to be kept up to date.
                _log.warning("the issuer's keys cannot be fetched: %s", error)
                asked_for = error.retry_after if isinstance(error, IssuerError) else None
                least = 0.0 if self._ring is None else self._cool_down
                await asyncio.sleep(max(backoff.next(asked_for), least))

    async def _rest(self) -> bool:
        """Waits until the keys are out of date, or until somebody wants newer ones; whether it was the latter."""
        seconds = min(max(self._good_until - self._now(), 0.0), _LONGEST_MAX_AGE)
        try:
            await asyncio.wait_for(self._wanted.wait(), seconds)
        except TimeoutError:
            return False
        self._wanted.clear()
        await asyncio.sleep(max(self._wanted_at + self._cool_down - self._now(), 0.0))
        return True

    async def fetch(self, wanted: bool = False) -> None:
        """Fetches the keys once; no two fetches are under way at once. `wanted`: because of a key id that was not known."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())
        # Whoever does not wait any more must not end it for the others.
        await asyncio.shield(self._fetching)
        if wanted:
            self._wanted_at = self._now()

    async def _fetch(self) -> None:
        try:
            await self._fetch_once()
            self._is_failing = False
        except Exception:
            self._is_failing = True
            raise

    async def _fetch_once(self) -> None:
        if self.url is None:
            raise IssuerError("the issuer has not been reached yet")
        headers = {"accept": "application/jwk-set+json, application/json"}
        if self._known is not None and self._known[1] is not None:
            headers["if-none-match"] = self._known[1]
        answer = await self._http.send(Request(self.url, headers))
        if answer.status != 304 or self._known is None:
            self.take_in(answer.ok().body, answer.headers.get("etag"))
        self._good_until = self._now() + max_age(answer.headers)

    def take_in(self, body: str, etag: str | None = None) -> None:
        """Puts a new set in use. A set that is broken or has no key of use is none: the last good one stays."""
        if self._known is None or self._known[0] != body:
            try:
                keys = KeySet.read(body)
            except ValueError as error:
                raise unreadable("it is no set of keys") from error
            if len(keys) == 0:
                raise unreadable("the issuer publishes no key that verifies its tokens")
            self._ring = (keys, TokenCache(self._cached_tokens))
        self._known = (body, etag)

    def _now(self) -> float:
        return self._clock.monotonic()


def max_age(headers: Mapping[str, str]) -> int:
    """How long an answer is good (RFC 9111 5.2.2.1), seconds, within bounds."""
    for directive in headers.get("cache-control", "").split(","):
        if found := _MAX_AGE.fullmatch(directive.strip()):
            return min(max(int(found[1]), 1), _LONGEST_MAX_AGE)
    return _UNTOLD_MAX_AGE
