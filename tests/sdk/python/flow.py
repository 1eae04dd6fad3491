"""Does with openapi-python-client's client what every client does: flow.py SERVICE FRONT."""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx

from hallpass_client import AuthenticatedClient, Client
from hallpass_client.api.authentication import auth_me, login, logout, refresh_token, register
from hallpass_client.api.users import get_me
from hallpass_client.models import (
    AuthenticatedUser,
    ErrorCode,
    LoggedOut,
    Login,
    LoginRequest,
    Me,
    Problem,
    RefreshRequest,
    Registered,
    RegisterRequest,
    TokenPair,
)

from me import who_am_i
from hallpass_session import Session

EMAIL = "python@example.com"
PASSWORD = "an engine weaves patterns"


def an_account_lives(service: str) -> None:
    """Registers, logs in, asks who it is, refreshes, logs out and is refused."""
    anonymous = Client(service)
    registration = RegisterRequest(EMAIL, PASSWORD, first_name="Guido")
    account = register.sync(client=anonymous, body=registration)
    assert isinstance(account, Registered) and account.first_name == "Guido", account
    taken = register.sync_detailed(client=anonymous, body=registration)
    assert taken.status_code == HTTPStatus.CONFLICT
    assert isinstance(taken.parsed, Problem) and taken.parsed.code is ErrorCode.EMAIL_TAKEN, taken

    wrong = login.sync(client=anonymous, body=LoginRequest(EMAIL, "wrong"))
    assert isinstance(wrong, Problem) and wrong.code is ErrorCode.INVALID_CREDENTIALS, wrong
    opened = login.sync(client=anonymous, body=LoginRequest(EMAIL, PASSWORD))
    assert isinstance(opened, Login) and opened.user.email == EMAIL, opened

    client = AuthenticatedClient(service, opened.access_token)
    caller = auth_me.sync(client=client)
    assert isinstance(caller, AuthenticatedUser) and caller.user.id == account.id, caller
    me = get_me.sync(client=client)
    assert isinstance(me, Me) and me.last_name is None, me
    pair = refresh_token.sync(client=client, body=RefreshRequest(opened.refresh_token))
    assert isinstance(pair, TokenPair) and pair.refresh_token != opened.refresh_token, pair

    client = AuthenticatedClient(service, pair.access_token)
    assert isinstance(logout.sync(client=client), LoggedOut)
    refused = get_me.sync_detailed(client=client)
    assert refused.status_code == HTTPStatus.UNAUTHORIZED
    assert isinstance(refused.parsed, Problem) and refused.parsed.code is ErrorCode.TOKEN_REVOKED, refused


def a_session_lasts(front: str) -> None:
    """The code of the documentation refreshes once and waits."""
    assert who_am_i(front) == "johndoe@example.com"
    session = Session(front)
    session.login("johndoe@example.com", "password")
    client = AuthenticatedClient(front, "").set_httpx_client(httpx.Client(base_url=front, auth=session))

    def me(_: int) -> int:
        answer = get_me.sync(client=client)
        assert isinstance(answer, Me), answer
        return answer.id

    assert me(0) == 1
    before = refreshes(front)
    tell(front, "expire")
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(me, range(4))) == [1, 1, 1, 1]
    assert refreshes(front) == before + 1, "one refresh for all"
    tell(front, "busy")
    assert me(0) == 1


def tell(front: str, what: str) -> None:
    urllib.request.urlopen(f"{front}/front/{what}", data=b"").close()


def refreshes(front: str) -> int:
    with urllib.request.urlopen(f"{front}/front/refreshes") as answer:
        return int(json.load(answer)["refreshes"])


if __name__ == "__main__":
    an_account_lives(sys.argv[1])
    a_session_lasts(sys.argv[2])
    print("python (openapi-python-client): well")
