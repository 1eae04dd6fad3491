"""Follows the issuer's revocations."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import httpx

from ._backoff import Backoff
from ._http import Request, refusal, unreadable
from ._issuer import Issuer
from ._listener import Feed, Interruption, Listener, Snapshot, read_snapshot
from .errors import IssuerError

_log = logging.getLogger("hallpass_verify")
_SNAPSHOT_MAX_BYTES = 256 * 1024 * 1024
"""More than a million entries."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the feed is."""

    token: httpx.URL
    revocations: httpx.URL
    stream: httpx.URL | None
    """Without it, the list is fetched again and again."""


class Follower:
    """There is one a validator. Times are in seconds."""

    def __init__(
        self, issuer: Issuer, feed: Feed, listener: Listener, places: Places, silence: float, poll_every: float
    ) -> None:
        self._issuer = issuer
        self._feed = feed
        self._listener = listener
        self._places = places
        self._silence = silence
        self._poll_every = poll_every

    async def run(self) -> None:
        """Follows the feed for ever."""
        backoff = Backoff()
        while True:
            try:
                await self._go_on(backoff)
            except Exception as error:  # Whatever it is, the feed is to be followed.
                self._listener.interrupted(error)
                await asyncio.sleep(_pause_after(error, backoff))

    async def _go_on(self, backoff: Backoff) -> None:
        """Does whatever comes next: begins with a list, then reads the stream to its end."""
        if self._listener.cursor is None:
            await self.fetch_list()
        elif self._places.stream is not None:
            await self._follow(self._places.stream, self._listener.cursor, backoff)
        else:
            await asyncio.sleep(self._poll_every)
            await self.fetch_list()
            backoff.reset()

    async def fetch_list(self) -> None:
        """Fetches all revocations and puts them in the place of those that are known."""
        headers = {**await self._authorization(), **self._listener.condition}
        asked_at = self._feed.now()
        answer = await self._issuer.http.send(Request(self._places.revocations, headers), _SNAPSHOT_MAX_BYTES)
        self._let_go_of_bearer(answer.status)
        if self._listener.is_unchanged(answer.status):
            self._listener.unchanged(self._listener.clock_of(asked_at, answer.headers), answer.headers)
            return
        clock = self._listener.clock_of(asked_at, answer.ok().headers)
        # A long list takes its time to read, and the event loop has other things to do.
        snapshot = await asyncio.to_thread(_read, answer.body)
        self._listener.list(clock, answer.headers, snapshot)

    async def _follow(self, url: httpx.URL, cursor: str, backoff: Backoff) -> None:
        """Takes in events until there are no more, or until the clock should be measured again."""
        headers = {"accept": "text/event-stream", "last-event-id": cursor, **await self._authorization()}
        asked_at = self._feed.now()
        async with self._issuer.http.open(Request(url, headers)) as response:
            self._let_go_of_bearer(response.status_code)
            if response.status_code != 200:
                raise refusal(response.status_code, response.headers)
            await self._read(response, asked_at, backoff)

    async def _read(self, response: httpx.Response, asked_at: int, backoff: Backoff) -> None:
        stream = self._listener.opened(asked_at, response.headers)
        pieces = self._issuer.http.pieces(response)
        loop = asyncio.get_running_loop()
        silent_at = loop.time() + self._silence
        while not self._listener.is_over(stream):
            piece = await self._issuer.http.next_piece(pieces, silent_at - loop.time())
            if piece is None:
                raise Interruption("closed", "the feed has ended")
            heard, is_fresh = self._listener.read(stream, piece)
            if heard:
                silent_at = loop.time() + self._silence
            if is_fresh:
                backoff.reset()

    async def _authorization(self) -> dict[str, str]:
        return {"authorization": await self._issuer.bearer(self._places.token, self._feed.now() / 1000)}

    def _let_go_of_bearer(self, status: int) -> None:
        if status == 401:
            self._issuer.forget_bearer()


def _read(body: str) -> Snapshot:
    try:
        return read_snapshot(body)
    except ValueError as error:
        raise unreadable("it is no list of revocations") from error


def _pause_after(error: Exception, backoff: Backoff) -> float:
    """Seconds until the next attempt. Streams are ended now and then by the issuer, or by a proxy: nothing to mend."""
    if isinstance(error, Interruption) and error.kind == "moved":
        return backoff.soon()
    if not (isinstance(error, Interruption) and error.kind == "closed"):
        _log.warning("the revocation feed is interrupted: %s", error)
    return backoff.next(error.retry_after if isinstance(error, IssuerError) else None)
