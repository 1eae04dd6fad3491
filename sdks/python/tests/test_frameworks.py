from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Security
from issuer import Issuer, MovedClock, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from hallpass_verify import AsyncValidator
from hallpass_verify.fastapi import Hallpass, Verified
from hallpass_verify.starlette import HallpassMiddleware


def of_fastapi(validator: AsyncValidator) -> Any:
    hallpass = Hallpass(validator)
    admin, machine = hallpass.needs(role="admin"), hallpass.needs(machines=True)
    app = FastAPI(lifespan=hallpass.lifespan, exception_handlers=hallpass.exception_handlers)

    @app.get("/")
    async def people(caller: Annotated[Verified, Security(hallpass)]) -> dict[str, str]:
        return {"sub": caller.payload["sub"]}

    @app.get("/admin")
    def admins(caller: Annotated[Verified, Security(admin)]) -> dict[str, str]:
        return {"sub": caller.payload["sub"]}

    @app.get("/orders")
    async def orders(
        caller: Annotated[Verified, Security(machine, scopes=["orders:read"])],
    ) -> dict[str, str]:
        return {"sub": caller.payload["sub"]}

    return app


def of_starlette(validator: AsyncValidator) -> Any:
    async def answer(request: Request) -> JSONResponse:
        return JSONResponse({"sub": request.state.auth.payload["sub"]})

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.auth.payload["sub"])
        await socket.close()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with validator:
            yield

    def guarded(**needs: Any) -> HallpassMiddleware:
        inner = Starlette(routes=[Route("/", answer), WebSocketRoute("/socket", talk)])
        return HallpassMiddleware(inner, validator=validator, **needs)

    routes = [
        Mount("/admin", guarded(role="admin")),
        Mount("/orders", guarded(machines=True, scopes="orders:read")),
        Mount("/", guarded()),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def path_of(path: str, build: Any) -> str:
    return path if build is of_fastapi or path == "/" else f"{path}/"


@pytest.mark.parametrize("build", [of_fastapi, of_starlette])
def test_it_lets_in_whom_it_should_and_answers_the_others_as_hallpass_does(
    issuer: Issuer, settings: Any, moved: MovedClock, build: Any
) -> None:
    ada, machine = f"Bearer {issuer.token()}", f"Bearer {issuer.machine()}"
    admin = f"bearer {issuer.token(roles=['admin', 'member'])}"
    elsewhere, other = f"Bearer {issuer.token(aud='x')}", f"Bearer {issuer.machine(scope='orders')}"

    def wrong(text: str) -> str:
        return f'Bearer error="invalid_token", error_description="{text}"'

    malformed, not_enough = wrong("the token is malformed"), 'Bearer error="insufficient_scope"'
    with TestClient(build(AsyncValidator(**settings))) as client:

        def get(path: str, *authorization: str) -> httpx.Response:
            headers = [("authorization", value) for value in authorization]
            return client.get(path_of(path, build), headers=headers)

        assert get("/", ada).json() == {"sub": "42"}
        assert get("/admin", admin).status_code == 200
        assert get("/orders", machine).json() == {"sub": "orders"}
        for path, authorization, status, code, challenge in [
            ("/", (), 401, "authentication_required", "Bearer"),
            ("/", ("Basic YTpi",), 401, "authentication_required", "Bearer"),
            ("/", ("Bearer a b",), 401, "invalid_token", malformed),
            ("/", (ada, ada), 401, "invalid_token", malformed),
            ("/", (elsewhere,), 401, "invalid_token", wrong("the token is for another audience")),
            ("/", (machine,), 403, "forbidden", not_enough),
            ("/admin", (ada,), 403, "forbidden", not_enough),
            ("/orders", (other,), 403, "insufficient_scope", f'{not_enough}, scope="orders:read"'),
        ]:
            refused = get(path, *authorization)
            assert (refused.status_code, refused.json()["code"]) == (status, code), (path, authorization)
            assert refused.headers["www-authenticate"] == challenge
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["type"] == f"urn:hallpass:error:{code}"
        issuer.is_beating = False
        moved.ahead += 3
        unknown = get("/", ada)
        assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "1")
        assert "www-authenticate" not in unknown.headers


def test_a_socket_is_open_to_those_who_are_let_in(issuer: Issuer, settings: Any) -> None:
    with TestClient(of_starlette(AsyncValidator(**settings))) as client:
        headers = {"authorization": f"Bearer {issuer.token()}"}
        with client.websocket_connect("/socket", headers=headers) as socket:
            assert socket.receive_text() == "42"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket"):
            pass


def test_the_document_of_fastapi_says_how_to_come_in(settings: Any) -> None:
    document = of_fastapi(AsyncValidator(**settings)).openapi()
    assert document["components"]["securitySchemes"]["hallpass"]["scheme"] == "bearer"
    assert document["paths"]["/orders"]["get"]["security"] == [{"hallpass": ["orders:read"]}]


async def test_the_fetching_ends_with_the_application(issuer: Issuer, settings: Any) -> None:
    with TestClient(of_fastapi(AsyncValidator(**settings))):
        await until("the stream is open", lambda: len(issuer.streams) == 1)
    issuer.send("heartbeat", {})
    await until("the stream is closed", lambda: len(issuer.streams) == 0)
