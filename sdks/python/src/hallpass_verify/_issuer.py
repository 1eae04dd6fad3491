"""Where the issuer is, and who we are to it."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx

from ._http import Answer, Http, Request, unreadable
from .errors import MetadataError, SettingsError

_WELL_KNOWN = "/.well-known/oauth-authorization-server"
"""Behind the issuer's URL (RFC 8414)."""
_SCOPE = "revocations:read"
_MARGIN = 10
"""A token of our own that ends sooner is not used any more, seconds."""
_UNTOLD_LIFETIME = 60
"""How long a token is used whose end the issuer does not tell, seconds."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints that are of use here. Those that the issuer does not name, it does not have."""

    jwks: httpx.URL
    token: httpx.URL | None
    introspection: httpx.URL | None
    revocations: httpx.URL | None
    stream: httpx.URL | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How the issuer is reached. Raises SettingsError when an address is none, or goes over a network in the clear."""

    issuer: str
    reach_at: str | None = None
    trust_origins: Sequence[str] = ()
    danger_allow_http: bool = False

    def __post_init__(self) -> None:
        _address(self.issuer, self.danger_allow_http or self.reach_at is not None)
        for url in (*self.trust_origins, *([] if self.reach_at is None else [self.reach_at])):
            _address(url, self.danger_allow_http)

    def metadata(self) -> httpx.URL:
        return self._rerouted(httpx.URL(self.issuer.rstrip("/") + _WELL_KNOWN))

    def endpoint(self, metadata: Mapping[str, Any], name: str) -> httpx.URL | None:
        """Takes an endpoint if it is the issuer's own or trusted: the metadata must not be able to send secrets elsewhere."""
        text = metadata.get(name)
        if text is None:
            return None
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, TypeError) as error:
            raise unreadable(f"its {name} is no URL") from error
        if _origin(url) == _origin(httpx.URL(self.issuer)):
            return self._rerouted(url)
        if _origin(url) in [_origin(httpx.URL(trusted)) for trusted in self.trust_origins]:
            return url
        raise MetadataError(f"the metadata's {name} is at an origin that is not trusted; see trust_origins")

    def _rerouted(self, url: httpx.URL) -> httpx.URL:
        """A URL of the issuer's own, by the way that was set."""
        return url if self.reach_at is None else httpx.URL(self.reach_at).copy_with(raw_path=url.raw_path)


class Issuer:
    """How the issuer is asked."""

    def __init__(self, reach: Reach, http: Http, client_id: str | None, client_secret: str | None) -> None:
        self.http = http
        self._reach = reach
        self._basic = None if client_id is None or client_secret is None else _basic(client_id, client_secret)
        self._own: tuple[str, float] | None = None

    async def discover(self) -> Endpoints:
        """Asks the issuer where everything is."""
        request = Request(self._reach.metadata(), {"accept": "application/json"})
        metadata = _object((await self.http.send(request)).ok())
        if metadata.get("issuer") != self._reach.issuer:
            raise MetadataError("the metadata is another issuer's")
        jwks = self._reach.endpoint(metadata, "jwks_uri")
        if jwks is None:
            raise MetadataError("the issuer has no jwks_uri")
        return Endpoints(
            jwks=jwks,
            token=self._reach.endpoint(metadata, "token_endpoint"),
            introspection=self._reach.endpoint(metadata, "introspection_endpoint"),
            revocations=self._reach.endpoint(metadata, "hallpass_revocations_endpoint"),
            stream=self._reach.endpoint(metadata, "hallpass_revocations_stream_endpoint"),
        )

    async def post(self, url: httpx.URL, fields: Mapping[str, str]) -> dict[str, Any]:
        """POSTs a form in the name of our client."""
        if self._basic is None:
            raise SettingsError("there are no credentials")
        headers = {"authorization": self._basic, "accept": "application/json"}
        return _object((await self.http.send(Request(url, headers, fields))).ok())

    async def bearer(self, endpoint: httpx.URL, now: float) -> str:
        """The value of `Authorization` by which we read the feed; `now` in seconds."""
        if self._own is not None and now < self._own[1]:
            return self._own[0]
        answer = await self.post(endpoint, {"grant_type": "client_credentials", "scope": _SCOPE})
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise unreadable("it has no access token")
        seconds = lifetime if type(lifetime) is int else _UNTOLD_LIFETIME
        self._own = (f"Bearer {token}", now + seconds - _MARGIN)
        return self._own[0]

    def forget_bearer(self) -> None:
        """The issuer takes our token no longer."""
        self._own = None

    async def is_active(self, endpoint: httpx.URL, token: str) -> bool:
        """Whether the issuer says that a token stands (RFC 7662)."""
        answer = await self.post(endpoint, {"token": token, "token_type_hint": "access_token"})
        active = answer.get("active")
        if not isinstance(active, bool):
            raise unreadable("it does not say whether the token is active")
        return active


def _object(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise unreadable("it is no JSON") from None
    if not isinstance(value, dict):
        raise unreadable("it is no object")
    return value


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _address(text: str, allow_http: bool) -> None:
    """In the clear only to this machine, where nobody is on the way, or where it is not travelled."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise SettingsError(f"{text} is no URL of an issuer") from error
    if url.scheme not in ("https", "http") or not url.host:
        raise SettingsError(f"{text} is no URL of an issuer")
    if url.scheme == "http" and not allow_http and not _is_loopback(url.host):
        raise SettingsError(f"{text} is not https; only a loopback address may do without, or set danger_allow_http")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _basic(client_id: str, client_secret: str) -> str:
    """Both parts are form-encoded first (RFC 6749 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
