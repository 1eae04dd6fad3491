"""What the tests of hallpass-session share: a clock that is moved, and a hallpass as far as a client sees it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock, get_ident
from typing import Any, Protocol, cast

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from hallpass_session import AsyncSession, Session, Store, User

HALLPASS = "https://auth.example.com"
API = "https://api.example.com"
REFRESH = f"{HALLPASS}/auth/refresh-token"
ADA = ("ada@example.com", "an engine weaves patterns")
TTL = 900.0
"""How long access tokens of the fake service live, in seconds."""


class ManualClock:
    """It stands still until it is moved; whoever sleeps moves it. Chance is always the same."""

    def __init__(self) -> None:
        self.time = 1_795_953_600.0
        self.chance = 0.0
        self.slept: list[float] = []
        self.callers: set[int] = set()
        """The threads that have asked what time it is."""

    def now(self) -> float:
        self.callers.add(get_ident())
        return self.time

    def random(self) -> float:
        return self.chance

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await anyio.sleep(0)


Answer = Callable[[httpx.Request, "Fake"], httpx.Response]


def problem(status: int, code: str, **headers: str) -> Answer:
    body = {"type": f"urn:hallpass:error:{code}", "title": "x", "status": status, "detail": f"It is {code}.", "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, fake: httpx.Response(status, json=body, headers=named)


def plain(status: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, fake: httpx.Response(status, text="<html>", headers=named)


def nobody(request: httpx.Request, fake: Fake) -> httpx.Response:
    raise httpx.ConnectError("no answer to a secret", request=request)


def lost(request: httpx.Request, fake: Fake) -> httpx.Response:
    fake.answer(request)
    raise httpx.ReadError("it breaks off", request=request)


@dataclass
class Opened:
    number: int
    user: User
    generation: int = 1
    expires_at: float = 0
    access: str = ""
    ended: str | None = None


@dataclass
class Asked:
    url: str
    method: str
    authorization: str | None
    body: bytes


@dataclass
class Fake:
    """hallpass and an API that takes its tokens."""

    clock: ManualClock
    asked: list[Asked] = field(default_factory=list)
    planned: list[tuple[str, Answer]] = field(default_factory=list)
    sessions: list[Opened] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            url = str(request.url)
            self.asked.append(Asked(url, request.method, request.headers.get("Authorization"), request.content))
            for plan in self.planned:
                if url.startswith(plan[0]):
                    self.planned.remove(plan)
                    return plan[1](request, self)
            return self.answer(request)

    def plan(self, start: str, *answers: Answer) -> None:
        """The next requests to a URL that begins so are answered by these."""
        self.planned.extend((start, answer) for answer in answers)

    def to(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if httpx.URL(asked.url).path == path]

    @property
    def refreshes(self) -> int:
        return len(self.to("/auth/refresh-token"))

    def end_all(self, code: str = "invalid_refresh_token") -> None:
        for session in self.sessions:
            session.ended = session.ended or code

    def expire_all(self) -> None:
        for session in self.sessions:
            session.expires_at = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if str(request.url).startswith(API):
            return self.api(request, token)
        body = json.loads(request.content)
        match request.url.path:
            case "/auth/register":
                return httpx.Response(201, json={"id": 2, "message": "user created successfully", **body})
            case "/auth/login" if body["password"] == ADA[1]:
                return httpx.Response(200, json=self.open(body["email"]))
            case "/auth/login":
                return problem(401, "invalid_credentials")(request, self)
            case "/auth/refresh-token":
                return self.refresh(request, body["refreshToken"])
            case "/auth/logout":
                for session in self.sessions:
                    if session.access == token and not session.ended:
                        session.ended = "invalid_refresh_token"
                        return httpx.Response(200, json={"message": "logged out successfully"})
                return problem(401, "token_revoked")(request, self)
        return problem(404, "not_found")(request, self)

    def open(self, email: str) -> dict[str, Any]:
        number = 2 if email == ADA[0] else 3
        user: User = {"id": number, "email": email, "email_verified": True, "first_name": None, "last_name": None}
        session = Opened(len(self.sessions) + 1, user)
        self.sessions.append(session)
        return {"user": user, **self.mint(session)}

    def mint(self, session: Opened) -> dict[str, Any]:
        session.expires_at = self.clock.now() + TTL
        session.access = f"access.secret.{session.number}.{session.generation}"
        refresh = f"hp_rt_secret.{session.number}.{session.generation}"
        tokens = {"accessToken": session.access, "refreshToken": refresh, "tokenType": "Bearer"}
        return {**tokens, "expiresIn": int(TTL), "sessionExpiresAt": 2_000_000_000}

    def refresh(self, request: httpx.Request, token: str) -> httpx.Response:
        """The successor; the same one again for the token before the last."""
        _, number, generation = token.split(".")
        session = self.sessions[int(number) - 1]
        if not session.ended and int(generation) < session.generation - 1:
            session.ended = "refresh_token_reused"
        if session.ended:
            return problem(401, session.ended)(request, self)
        session.generation = int(generation) + 1
        return httpx.Response(200, json=self.mint(session))

    def api(self, request: httpx.Request, token: str) -> httpx.Response:
        if not token:
            return problem(401, "authentication_required")(request, self)
        for session in self.sessions:
            if session.access == token:
                if session.ended:
                    return problem(401, "token_revoked")(request, self)
                if session.expires_at > self.clock.now():
                    return httpx.Response(200, json={"hello": session.user["id"]})
        return problem(401, "token_expired")(request, self)


class World(Protocol):
    """A session with a client of an API, in threads or in tasks."""

    ends: list[str]
    session: Any

    def login(self, email: str = ..., password: str = ...) -> User: ...
    def logout(self, everywhere: bool = ...) -> None: ...
    def register(self, email: str, password: str) -> Any: ...
    def token(self) -> str | None: ...
    def send(self, method: str, url: str, **options: Any) -> httpx.Response: ...
    def many(self, times: int, url: str) -> list[int | str]: ...


def of(outcome: httpx.Response | Exception) -> int | str:
    return outcome.status_code if isinstance(outcome, httpx.Response) else getattr(outcome, "code", repr(outcome))


class Threads:
    def __init__(self, stack: ExitStack, service: Fake, options: dict[str, Any]) -> None:
        self.ends: list[str] = []
        transport = httpx.MockTransport(service)
        client = stack.enter_context(httpx.Client(transport=transport))
        self.session = Session(HALLPASS, client=client, **options)
        self.session.on_ended(self.ends.append)
        self.http = stack.enter_context(httpx.Client(transport=transport, auth=self.session, follow_redirects=True))
        self.login = self.session.login
        self.logout = lambda everywhere=False: self.session.logout(everywhere=everywhere)
        self.register = self.session.register
        self.token = self.session.access_token
        self.send = self.http.request

    def many(self, times: int, url: str) -> list[int | str]:
        def once(_: int) -> int | str:
            try:
                return of(self.http.get(url))
            except Exception as error:
                return of(error)

        with ThreadPoolExecutor(times) as threads:
            return list(threads.map(once, range(times)))


class Tasks:
    def __init__(self, stack: ExitStack, service: Fake, options: dict[str, Any], portal: BlockingPortal) -> None:
        self.ends: list[str] = []
        self.portal = portal
        transport = httpx.MockTransport(service)
        client = httpx.AsyncClient(transport=transport)
        self.session = AsyncSession(HALLPASS, client=client, **options)
        self.session.on_ended(self.ends.append)
        self.http = httpx.AsyncClient(transport=transport, auth=self.session, follow_redirects=True)
        self.login = lambda *who: self.call(lambda: self.session.login(*who))
        self.logout = lambda everywhere=False: self.call(lambda: self.session.logout(everywhere=everywhere))
        self.register = lambda *who: self.call(lambda: self.session.register(*who))
        self.token = lambda: self.call(self.session.access_token)
        self.send = lambda *request, **options: self.call(lambda: self.http.request(*request, **options))
        stack.callback(lambda: self.call(self.session.aclose))
        stack.callback(lambda: self.call(self.http.aclose))

    def call(self, run: Callable[[], Awaitable[Any]]) -> Any:
        return self.portal.call(run)

    def many(self, times: int, url: str) -> list[int | str]:
        outcomes: list[int | str] = []

        async def once() -> None:
            try:
                outcomes.append(of(await self.http.get(url)))
            except Exception as error:
                outcomes.append(of(error))

        async def all_of_them() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(times):
                    tasks.start_soon(once)

        self.call(all_of_them)
        return outcomes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def service(clock: ManualClock) -> Fake:
    return Fake(clock)


Opener = Callable[..., World]


@pytest.fixture(params=["threads", "tasks"])
def opened(request: pytest.FixtureRequest, clock: ManualClock, service: Fake) -> Iterator[Opener]:
    """Opens sessions that nobody has logged in to."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal()) if request.param == "tasks" else None

        def start(store: Store | None = None, origins: tuple[str, ...] = (API,), **options: Any) -> World:
            options = {"store": store, "origins": origins, "clock": clock, **options}
            return cast(World, Tasks(stack, service, options, portal) if portal else Threads(stack, service, options))

        yield start


@pytest.fixture
def world(opened: Opener) -> World:
    """Somebody is logged in."""
    world = opened()
    world.login(*ADA)
    return world
