"""A session for threads."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import httpx

from ._attempt import Access, Renew, attempt
from ._core import Core, Flow, Kept, Known, Sleep
from ._errors import HallpassError
from ._openapi import Registered, RegistrationTaken, User
from ._patience import Clock
from ._store import Store

T = TypeVar("T")


class Session(Known):
    """
    A login at the hallpass of that URL, which any number of threads may share. It restores what its store has.

    It is an `httpx.Auth`: a client that has it as its `auth` sends the access token to hallpass and to the `origins` that are
    named here, renews it where that is needed, and waits where it is told to; to any other origin it sends none.
    """

    def __init__(
        self,
        url: str,
        *,
        origins: Iterable[str] = (),
        store: Store | None = None,
        wait_max: float = 30,
        client: httpx.Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        """
        `wait_max` is the longest wait that a service may ask for (`Retry-After`), in seconds: beyond it, what it said is
        the answer. `client` is what hallpass is asked by.
        """
        self._core = Core(url, origins, store, wait_max, clock)
        self._client = httpx.Client() if client is None else client
        self._renewing = threading.Lock()

    def register(self, email: str, password: str, **names: str) -> Registered | RegistrationTaken:
        """Makes an account, with `first_name` and `last_name` if you like. It does not log in."""
        return self._run(self._core.register({"email": email, "password": password, **names}))

    def login(self, email: str, password: str) -> User:
        """Raises a HallpassError: `invalid_credentials`, or `rate_limited` with `retry_after`, and so on."""
        kept = self._run(self._core.login(email, password))
        self._core.commit(lambda _: kept)
        return kept.user

    def logout(self, *, everywhere: bool = False) -> None:
        """
        The tokens are forgotten at once and in any case; raises a HallpassError when hallpass could not be told, and so the
        session is still open there.
        """
        kept = self._core.leave()
        if kept:
            self._run(self._core.logout(kept, "global" if everywhere else "local"))

    def access_token(self) -> str | None:
        """A token that lives, for what is not httpx; none where nobody is logged in."""
        kept = self._access()
        return kept.access_token if kept else None

    def close(self) -> None:
        """Closes its client; the session itself lives on in its store."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._core.is_named(request.url):
            request.read()  # it may be sent again
        steps = attempt(self._core, request)
        result: Any = None
        while True:
            try:
                step = steps.send(result)
            except StopIteration:
                return
            if isinstance(step, httpx.Request):
                result = yield step
                if result.status_code in (401, 503):
                    result.read()
            elif isinstance(step, Access):
                result = self._access()
            elif isinstance(step, Renew):
                result = self._renew(step.used)
            else:
                result = None
                self._core.clock.sleep(step.seconds)

    async def async_auth_flow(self, request: httpx.Request) -> Any:
        raise RuntimeError("this session is for threads: an httpx.AsyncClient takes an AsyncSession")
        yield request

    def _run(self, flow: Flow[T]) -> T:
        result: httpx.Response | None = None
        while True:
            try:
                step = flow.send(result)
            except StopIteration as end:
                value: T = end.value
                return value
            result = None
            if isinstance(step, Sleep):
                self._core.clock.sleep(step.seconds)
                continue
            try:
                result = self._client.send(step.request, auth=None, follow_redirects=False)
            except httpx.HTTPError:
                pass  # none came; what was raised may quote the request

    def _access(self) -> Kept | None:
        core = self._core
        # Another program may hand over a token that has expired since: the second look renews it.
        for _ in range(2):
            if core.kept and core.is_over(core.kept):
                self._renew(core.kept.access_token)
        if core.kept and core.is_due(core.kept):
            self._renew_ahead(core.kept.access_token)
        return core.kept

    def _renew(self, used: str) -> Kept | None:
        """Has another access token than that one, by one refresh for all who wait; or the session has ended."""
        core = self._core
        seen = core.renewals
        with self._renewing:
            if core.must_renew(used, seen):
                self._refresh(used, patient=True)
        return core.kept

    def _renew_ahead(self, used: str) -> None:
        """One of those who call does it, once; where it fails, nobody waits for it."""
        if not self._renewing.acquire(blocking=False):
            return
        try:
            self._refresh(used, patient=False)
        except HallpassError:
            self._core.postpone()
        finally:
            self._renewing.release()

    def _refresh(self, used: str, patient: bool) -> None:
        with self._alone(blocking=patient) as alone:
            if alone:
                self._run(self._core.renewal(used, patient))

    @contextmanager
    def _alone(self, blocking: bool) -> Iterator[bool]:
        release = self._core.store.lock("refresh", blocking)
        try:
            yield release is not None
        finally:
            if release:
                release()
