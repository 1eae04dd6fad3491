"""Validators that follow their issuer."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Required, Self, TypedDict, TypeVar, Unpack

from ._backoff import Backoff
from ._check import Check, Requirements, Verified, stale
from ._clock import Clock
from ._follower import Follower, Places
from ._http import Http
from ._issuer import Endpoints, Issuer, Reach
from ._key_keeper import KeyKeeper
from ._listener import Feed, Listener
from ._verifier import KnownToken, Rules, UnknownKid
from .errors import IssuerError, MetadataError, SettingsError, cannot_tell, revoked

T = TypeVar("T")
OnStale = Literal["reject", "introspect", "allow"]

_log = logging.getLogger("hallpass_verify")
_AT_ONCE = 64
"""How many tokens the issuer is asked about at once: an issuer in trouble is not to be flooded by its clients."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a validator is doing: for health checks and metrics."""

    keys: int
    """How many keys are in use. With none, no token can be checked."""
    revocations: int
    """How many revocations are known."""
    feed_age: float | None
    """How old the knowledge of revocations is, seconds; None when there never was any."""
    is_fresh: bool
    """Whether that is young enough."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a validator. Times are in seconds."""

    issuer: str
    """hallpass' public URL, to the letter."""
    audience: str | Sequence[str]
    """Whom tokens are for, to the letter; of several, one is enough."""
    client_id: str | None = None
    """A client with the scope `revocations:read`. Without one, only `on_stale="allow"` is of use."""
    client_secret: str | None = None
    max_staleness: float = 2.0
    """How old the knowledge of revocations may be, counted from when the issuer had looked."""
    on_stale: OnStale = "reject"
    """What happens to a token that is not known to be revoked while the knowledge is older than that.

    `reject`: 503. `introspect`: the issuer is asked about each token (RFC 7662), 503 if it does not answer. `allow`: it is
    accepted; tokens that were revoked meanwhile pass until they expire.
    """
    typ: Literal["at+jwt", "JWT"] = "at+jwt"
    leeway: int = 5
    """By how much the issuer's clock and this machine's may differ."""
    request_timeout: float = 2.0
    """How long the issuer may take to answer."""
    silence_timeout: float = 3.0
    """After how long without a word the stream is opened anew."""
    key_cool_down: float = 10.0
    """The least time between two fetches of the keys that tokens with unknown key ids cause."""
    token_cache: int = 10_000
    """For about how many tokens to remember that their signature is right."""
    reach_at: str | None = None
    """Where the issuer is reached, if not at its own URL."""
    trust_origins: Sequence[str] = ()
    """Other origins that the issuer's metadata may name endpoints at."""
    danger_allow_http: bool = False
    """Allows an issuer without TLS that is not on this machine: whoever is on the way can put keys in place of its own."""
    lazy: bool = False
    """Does not wait for the issuer: until it is reached, tokens are 503."""
    tls: ssl.SSLContext | None = None
    """Whom to trust, if not the usual authorities."""
    clock: Clock = Clock()
    """For tests."""

    def __post_init__(self) -> None:
        if not self.audiences:
            raise SettingsError("an audience is needed")
        if not self.has_credentials and self.on_stale != "allow":
            raise SettingsError('client_id and client_secret are needed, unless on_stale is "allow"')
        if self.on_stale not in ("reject", "introspect", "allow"):
            raise SettingsError("on_stale is reject, introspect or allow")

    def __repr__(self) -> str:
        return f"Settings(issuer={self.issuer!r}, audience={self.audience!r}, …)"

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience)

    @property
    def has_credentials(self) -> bool:
        return self.client_id is not None and self.client_secret is not None

    def rules(self) -> Rules:
        return Rules(self.issuer, self.audiences, self.typ, int(self.leeway))

    def reach(self) -> Reach:
        return Reach(self.issuer, self.reach_at, tuple(self.trust_origins), self.danger_allow_http)


class Arguments(TypedDict, total=False):
    """The fields of `Settings`."""

    issuer: Required[str]
    audience: Required[str | Sequence[str]]
    client_id: str | None
    client_secret: str | None
    max_staleness: float
    on_stale: OnStale
    typ: Literal["at+jwt", "JWT"]
    leeway: int
    request_timeout: float
    silence_timeout: float
    key_cool_down: float
    token_cache: int
    reach_at: str | None
    trust_origins: Sequence[str]
    danger_allow_http: bool
    lazy: bool
    tls: ssl.SSLContext | None
    clock: Clock


class AsyncValidator:
    """Checks access tokens by keys and revocations that it fetches from the issuer in the background.

    Make one and share it. `async with` connects it and ends the fetching. It takes the fields of `Settings` by name.
    """

    def __init__(self, **settings: Unpack[Arguments]) -> None:
        self._settings = Settings(**settings)
        clock, rules = self._settings.clock, self._settings.rules()
        self._http = Http(self._settings.request_timeout, self._settings.tls or True)
        self._issuer = Issuer(
            self._settings.reach(), self._http, self._settings.client_id, self._settings.client_secret
        )
        self._keys = KeyKeeper(self._http, rules, clock, self._settings.key_cool_down, self._settings.token_cache)
        self._feed = Feed(clock)
        staleness_ms = self._settings.max_staleness * 1000
        self._check = Check(self._keys, self._feed, rules, clock, staleness_ms, self._settings.on_stale == "allow")
        self._asking = asyncio.Semaphore(_AT_ONCE)
        self._endpoints: Endpoints | None = None
        self._follower: Follower | None = None
        self._background: asyncio.Task[None] | None = None
        self._is_closed = False

    async def connect(self) -> Self:
        """Begins to follow the issuer. Waits until keys and revocations are there, unless `lazy` is set.

        Raises IssuerError and MetadataError; nothing is tried twice then.
        """
        if not self._settings.lazy:
            await self._lay_out()
            await self._keys.fetch()
            if self._follower is not None:
                await self._follower.fetch_list()
        self._background = asyncio.create_task(self._follow())
        return self

    async def close(self) -> None:
        """Ends the fetching. From now on tokens are 503."""
        self._is_closed = True
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)
        await self._http.close()

    async def __aenter__(self) -> Self:
        try:
            return await self.connect()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def verify(
        self,
        token: str,
        *,
        scopes: str | Sequence[str] = (),
        role: str | Sequence[str] = (),
        max_auth_age: int | None = None,
        machines: bool = False,
    ) -> Verified:
        """Checks a token: signature, claims, revocation, and whether it is enough. Raises TokenError.

        Machines' tokens are refused unless `machines` lets them in. `scopes` in one string are words with spaces between.
        """
        needs = requirements(scopes, role, max_auth_age, machines)
        return self._check.permitted(await self._standing(token), needs)

    def status(self) -> Status:
        """How it is doing."""
        age = self._feed.age()
        feed_age = None if age == float("inf") else age / 1000
        return Status(len(self._keys), len(self._feed.denylist), feed_age, self._check.is_fresh(age))

    async def _standing(self, token: str) -> KnownToken:
        """A token that is right and stands."""
        try:
            known = self._check.known(token)
        except UnknownKid:
            known = await self._check.known_settled(token)
        if not self._check.stands(known):
            await self._ask(token)
        self._unless_closed()
        return known

    def _standing_at_once(self, token: str) -> KnownToken | None:
        """The same by what is known already; None where the issuer has to be asked."""
        try:
            known = self._check.known(token)
        except UnknownKid:
            return None
        stands = self._check.stands(known)
        self._unless_closed()
        return known if stands else None

    def _unless_closed(self) -> None:
        if self._is_closed:
            raise cannot_tell("the validator was closed")

    async def _ask(self, token: str) -> None:
        endpoint = self._endpoints.introspection if self._endpoints else None
        if self._settings.on_stale != "introspect" or endpoint is None:
            raise stale()
        try:
            async with asyncio.timeout(self._settings.request_timeout), self._asking:
                is_active = await self._issuer.is_active(endpoint, token)
        except (IssuerError, TimeoutError) as error:
            raise cannot_tell(error) from error
        if not is_active:
            raise revoked()

    async def _lay_out(self) -> None:
        """Asks where everything is."""
        endpoints = await self._issuer.discover()
        if self._settings.on_stale == "introspect" and endpoints.introspection is None:
            raise MetadataError("the issuer has no introspection_endpoint")
        self._follower = self._follower_of(endpoints)
        self._keys.url = endpoints.jwks
        self._endpoints = endpoints

    def _follower_of(self, endpoints: Endpoints) -> Follower | None:
        if not self._settings.has_credentials:
            return None
        if endpoints.token is None or endpoints.revocations is None:
            if self._settings.on_stale != "reject":
                return None
            raise MetadataError("the issuer has no feed of revocations, or no token_endpoint")
        places = Places(endpoints.token, endpoints.revocations, endpoints.stream)
        staleness = self._settings.max_staleness
        listener = Listener(
            self._feed,
            self._keys.want,
            self._settings.clock,
            int(self._settings.leeway),
            staleness * 1000,
            places.stream is not None,
        )
        return Follower(self._issuer, self._feed, listener, places, self._settings.silence_timeout, staleness / 3)

    async def _follow(self) -> None:
        backoff = Backoff()
        while self._endpoints is None:
            try:
                await self._lay_out()
            except (IssuerError, MetadataError) as error:
                _log.warning("the issuer is of no use yet: %s", error)
                await asyncio.sleep(backoff.next())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keys.run())
            if self._follower is not None:
                tasks.create_task(self._follower.run())


class Validator:
    """The same for programs without an event loop: it follows the issuer in a thread of its own.

    `with` connects it and ends the thread. A process that forks makes one behind the fork. Any thread may ask it.
    """

    def __init__(self, **settings: Unpack[Arguments]) -> None:
        self._inner = AsyncValidator(**settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def connect(self) -> Self:
        """Begins to follow the issuer, as `AsyncValidator.connect` does."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hallpass-verify", daemon=True)
        self._thread.start()
        self._wait_for(self._inner.connect())
        return self

    def close(self) -> None:
        """Ends the fetching. From now on tokens are 503."""
        if self._loop is None or self._thread is None:
            return
        self._wait_for(self._inner.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None

    def __enter__(self) -> Self:
        try:
            return self.connect()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def verify(
        self,
        token: str,
        *,
        scopes: str | Sequence[str] = (),
        role: str | Sequence[str] = (),
        max_auth_age: int | None = None,
        machines: bool = False,
    ) -> Verified:
        """As `AsyncValidator.verify`. It waits for the issuer only when that has to be asked."""
        needs = requirements(scopes, role, max_auth_age, machines)
        known = self._inner._standing_at_once(token)
        if known is None:
            known = self._wait_for(self._inner._standing(token))
        return self._inner._check.permitted(known, needs)

    def status(self) -> Status:
        """How it is doing."""
        return self._inner.status()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise cannot_tell("the validator is not connected")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def requirements(
    scopes: str | Sequence[str], role: str | Sequence[str], max_auth_age: int | None, machines: bool
) -> Requirements:
    """What a caller needs, by the arguments of `verify`."""
    words = scopes.split() if isinstance(scopes, str) else tuple(scopes)
    roles = (role,) if isinstance(role, str) else tuple(role)
    return Requirements(words, roles, max_auth_age, machines)
