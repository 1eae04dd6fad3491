"""Requests to the issuer, bounded in time and in length."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from .errors import IssuerError

SHORT_ANSWER = 1024 * 1024
"""What an answer may take unless it is a list of revocations, bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: str

    def ok(self) -> Answer:
        """The answer, if its status is 200."""
        if self.status == 200:
            return self
        raise refusal(self.status, self.headers)


class Http:
    """The client of one issuer. `timeout`: how long to wait for an answer, and for each next piece of it, seconds."""

    def __init__(self, timeout: float, verify: ssl.SSLContext | bool) -> None:
        self._timeout = timeout
        # No redirect is followed: it could lead secrets elsewhere.
        times = httpx.Timeout(timeout, read=None)
        self._client = httpx.AsyncClient(timeout=times, verify=verify, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, request: Request, limit: int = SHORT_ANSWER) -> Answer:
        """Sends a request and reads the answer, at most `limit` bytes of it."""
        async with self.open(request) as response:
            body = bytearray()
            pieces = self.pieces(response)
            while (piece := await self.next_piece(pieces, self._timeout)) is not None:
                body += piece
                if len(body) > limit:
                    raise IssuerError("the issuer's answer is too long")
            return Answer(response.status_code, response.headers, _text(body))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[httpx.Response]:
        """Sends a request and waits for the head of the answer."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request.built(self._client), stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise unreachable(error) from error
        try:
            yield response
        finally:
            await response.aclose()

    async def next_piece(self, pieces: AsyncIterator[bytes], timeout: float) -> bytes | None:
        """The next bytes of an answer, waited for that many seconds; None at its end."""
        try:
            async with asyncio.timeout(timeout):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise unreachable(error) from error

    async def pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The bytes of an answer as they come."""
        try:
            async for piece in response.aiter_bytes():
                yield piece
        except httpx.HTTPError as error:
            raise unreachable(error) from error


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    url: httpx.URL
    headers: Mapping[str, str]
    form: Mapping[str, str] | None = None

    def built(self, client: httpx.AsyncClient) -> httpx.Request:
        method = "GET" if self.form is None else "POST"
        return client.build_request(method, self.url, headers=dict(self.headers), data=self.form)


def unreachable(error: BaseException) -> IssuerError:
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return IssuerError("the issuer did not answer in time")
    return IssuerError("the issuer cannot be reached")


def refusal(status: int, headers: Mapping[str, str]) -> IssuerError:
    """An answer of a status that is of no use."""
    wait = headers.get("retry-after", "").strip()
    is_number = wait.isascii() and wait.isdigit() and len(wait) < 10
    return IssuerError(f"the issuer answered {status}", status, int(wait) if is_number else None)


def unreadable(why: str) -> IssuerError:
    return IssuerError(f"the issuer's answer cannot be read: {why}")


def _text(body: bytearray) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise unreadable("it is no UTF-8") from None
