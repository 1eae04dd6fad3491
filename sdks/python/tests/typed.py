"""What users of the types write: it has to pass mypy --strict, and what is wrong in it must not."""

from starlette.applications import Starlette

from hallpass_verify import AsyncValidator, TokenError, Validator, Verified
from hallpass_verify.fastapi import Hallpass
from hallpass_verify.starlette import HallpassMiddleware


async def caller(validator: AsyncValidator, token: str) -> str | None:
    try:
        verified: Verified = await validator.verify(token, scopes=["orders:read"], role="admin", max_auth_age=60)
    except TokenError as error:
        return f"{error.status} {error.code} {error.headers}"
    return str(verified.payload["sub"])


def other(token: str) -> int | None:
    with Validator(issuer="https://id.example.com", audience=["a"], on_stale="introspect") as validator:
        validator.verify(token)
        return TokenError(401, "x", "y").retry_after


app = Starlette()
app.add_middleware(HallpassMiddleware, validator=AsyncValidator(issuer="i", audience="a"), machines=True)
needs = Hallpass(AsyncValidator(issuer="i", audience="a")).needs(role="admin")
AsyncValidator(issuer="i", audience="a", on_stale="guess")  # type: ignore[arg-type]
AsyncValidator(issuer="i")  # type: ignore[call-arg]
