"""A security dependency for FastAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from ._check import Verified, bearer_token
from ._validator import AsyncValidator
from .errors import TokenError
from .starlette import authorization_of, problem_response

__all__ = ["Hallpass", "Verified"]


class Hallpass(SecurityBase):
    """`Security(hallpass)` is the caller: who sent a right access token. Others are answered 401, 403 or 503.

    Scopes that a route asks for, `Security(hallpass, scopes=["orders:read"])`, are a machine's: `hallpass.needs(machines=True)`
    lets those in.
    """

    def __init__(self, validator: AsyncValidator) -> None:
        self.validator = validator
        self.model = HTTPBearer(bearerFormat="JWT")
        self.scheme_name = "hallpass"
        self._needs: dict[str, Any] = {}

    def needs(
        self,
        *,
        role: str | Sequence[str] = (),
        max_auth_age: int | None = None,
        machines: bool = False,
    ) -> Hallpass:
        """The same that asks for more, by the same validator."""
        other = Hallpass(self.validator)
        other._needs = {"role": role, "max_auth_age": max_auth_age, "machines": machines}
        return other

    async def __call__(self, request: Request, scopes: SecurityScopes) -> Verified:
        token = bearer_token(authorization_of(request.scope))
        return await self.validator.verify(token, scopes=scopes.scopes, **self._needs)

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Follows the issuer while the application lives: `FastAPI(lifespan=hallpass.lifespan)`."""
        async with self.validator:
            yield

    @property
    def exception_handlers(self) -> dict[Any, Callable[[Request, Any], Awaitable[Response]]]:
        """What answers those who are not let in: `FastAPI(exception_handlers=hallpass.exception_handlers)`."""
        return {TokenError: _answer}


async def _answer(_request: Request, error: TokenError) -> Response:
    return problem_response(error)
