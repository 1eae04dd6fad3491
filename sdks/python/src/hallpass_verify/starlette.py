"""A middleware for Starlette and other ASGI applications."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ._check import Verified, bearer_token
from ._validator import AsyncValidator
from .errors import PROBLEM_TYPE, TokenError

__all__ = ["HallpassMiddleware", "Verified", "authorization_of", "problem_response"]


class HallpassMiddleware:
    """Lets requests with a right access token pass, with `request.state.auth`, and answers the others: 401, 403 or 503.

    The validator is connected elsewhere, in the lifespan say. The keyword arguments are those of `AsyncValidator.verify`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        validator: AsyncValidator,
        scopes: str | Sequence[str] = (),
        role: str | Sequence[str] = (),
        max_auth_age: int | None = None,
        machines: bool = False,
    ) -> None:
        self._app = app
        self._validator = validator
        self._scopes = scopes
        self._role = role
        self._max_auth_age = max_auth_age
        self._machines = machines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            auth = await self._admit(scope)
        except TokenError as error:
            await _refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {})["auth"] = auth
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Verified:
        return await self._validator.verify(
            bearer_token(authorization_of(scope)),
            scopes=self._scopes,
            role=self._role,
            max_auth_age=self._max_auth_age,
            machines=self._machines,
        )


def authorization_of(scope: Scope) -> list[str]:
    """The values of all `Authorization` headers of a request."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]


def problem_response(error: TokenError) -> JSONResponse:
    """The answer to a request that is not let in."""
    return JSONResponse(error.problem, error.status, error.headers, PROBLEM_TYPE)


async def _refuse(error: TokenError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await problem_response(error)(scope, receive, send)
        return
    # A handshake has no answer but this one: the server makes 403 of it.
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": error.code})
