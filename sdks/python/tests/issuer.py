"""An issuer for tests: what hallpass answers, as a test wants it, on a free port of this machine, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from hallpass_verify import Clock

AUDIENCE = "https://api.example.com"
SECRET = "issuer-test-secret"
ID = "00000000-0000-4000-8000-00000000000"


@dataclass
class Asked:
    headers: dict[str, str]
    body: str


@dataclass
class MovedClock:
    """A clock that a test moves; it stands at the machine's time otherwise."""

    ahead: float = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: time.time() + self.ahead, lambda: time.monotonic() + self.ahead)


@dataclass
class Issuer:
    asked: dict[str, list[Asked]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    instead: dict[str, tuple[int, str]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    late_ms: int = 0
    is_beating: bool = True

    def __post_init__(self) -> None:
        self.streams: set[asyncio.StreamWriter] = set()
        self.new_key()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._run(self._start())

    def _run(self, work: Awaitable[Any]) -> Any:
        async def waited() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(waited(), self.loop).result(10)

    async def _start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.beat = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if self.is_beating:
                self._send("heartbeat", self._times())

    def stop(self) -> None:
        async def end() -> None:
            self.beat.cancel()
            self.server.close()
            for writer in list(self.streams):
                writer.transport.abort()
            while self.streams:
                await asyncio.sleep(0.01)

        if self.thread.is_alive():
            self._run(end())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()

    def new_key(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        self.kid = f"key-{time.monotonic_ns()}"
        self.jwks = json.dumps({"keys": [{**jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}]})

    def token(self, without: Iterable[str] = (), header: dict[str, Any] | None = None, **more: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": AUDIENCE, "sub": "42", "iat": now, "exp": now + 900, "jti": f"{ID}1", "inc": 7,
            "client_id": "hallpass", "sid": f"{ID}2", "sv": 3, "email": "ada@example.com", "email_verified": True,
            "roles": ["member"], **more,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if name not in without}
        return jwt.encode(claims, self.key, "ES256", {"typ": "at+jwt", "kid": self.kid, **(header or {})})

    def machine(self, **more: Any) -> str:
        people = ("sid", "sv", "email", "email_verified")
        return self.token(people, sub="orders", roles=[], **{"scope": "orders:read", **more})

    def count(self, path: str) -> int:
        return len(self.asked.get(path, []))

    def revoke(self, **entry: Any) -> None:
        revocation = {"exp": int(time.time()) + 900, **entry}
        self.entries.append(revocation)
        self.send("revocation", revocation)

    def send(self, event: str, data: Any) -> None:
        self.loop.call_soon_threadsafe(self._send, event, data)

    def _send(self, event: str, data: Any) -> None:
        for writer in self.streams:
            writer.write(f"event: {event}\nid: {len(self.entries)}\ndata: {json.dumps(data)}\n\n".encode())

    def cut(self) -> None:
        async def cut() -> None:
            for writer in list(self.streams):
                writer.transport.abort()

        self._run(cut())

    def _times(self) -> dict[str, int]:
        until = int(time.time() * 1000) - self.late_ms
        return {"server_time": until // 1000, "server_time_ms": until}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            headers = {name.lower(): value for name, value in pairs}
            body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
            self.asked.setdefault(path, []).append(Asked(headers, body))
            await self._answer(path, headers, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if path in self.instead:
            status, text = self.instead[path]
            return self._write(writer, status, text, {"location": f"{self.url}/elsewhere"})
        answers: dict[str, Callable[[], str]] = {
            "/.well-known/oauth-authorization-server": self._discovery,
            "/jwks": lambda: self.jwks,
            "/oauth2/token": lambda: json.dumps({"access_token": "own-token", "expires_in": 900}),
            "/oauth2/introspect": lambda: json.dumps({"active": True}),
        }
        if path == "/revocations":
            return self._list(headers, writer)
        if path == "/revocations/stream":
            return await self._stream(headers, writer)
        self._write(writer, 200 if path in answers else 404, answers.get(path, lambda: "{}")())

    def _discovery(self) -> str:
        return json.dumps({
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint": f"{self.url}/oauth2/token",
            "introspection_endpoint": f"{self.url}/oauth2/introspect",
            "hallpass_revocations_endpoint": f"{self.url}/revocations",
            "hallpass_revocations_stream_endpoint": f"{self.url}/revocations/stream",
            **self.metadata,
        })  # fmt: skip

    def _list(self, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        etag, times = f'"{len(self.entries)}"', self._times()
        own = {
            "etag": etag,
            "hallpass-clock": str(int(time.time() * 1000)),
            "hallpass-complete-until": str(times["server_time_ms"]),
        }
        if headers.get("if-none-match") == etag:
            return self._write(writer, 304, "", own)
        body = {"cursor": str(len(self.entries)), "entries": self.entries, **times}
        self._write(writer, 200, json.dumps(body), own)

    async def _stream(self, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        clock = int(time.time() * 1000)
        writer.write(f"HTTP/1.1 200 OK\r\nconnection: close\r\nhallpass-clock: {clock}\r\n\r\n".encode())
        seen = int(headers.get("last-event-id", 0))
        for at, entry in enumerate(self.entries[seen:], seen + 1):
            writer.write(f"event: revocation\nid: {at}\ndata: {json.dumps(entry)}\n\n".encode())
        self.streams.add(writer)
        try:
            while not writer.is_closing():
                await asyncio.sleep(0.01)
        finally:
            self.streams.discard(writer)

    def _write(
        self, writer: asyncio.StreamWriter, status: int, text: str, headers: dict[str, str] | None = None
    ) -> None:
        own = {"connection": "close", "content-length": str(len(text.encode())), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n{text}".encode())


async def until(what: str, holds: Callable[[], Awaitable[bool] | bool], seconds: float = 10) -> None:
    """Waits until something holds, at most some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"it does not come to pass: {what}")
