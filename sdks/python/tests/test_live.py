"""Beside a real `hallpass dev`: the program that HALLPASS_PROGRAM names."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hallpass_verify import AsyncValidator, TokenError, Validator

PROGRAM = os.environ.get("HALLPASS_PROGRAM", "")
FOLDER = Path(__file__).parent
README = Path(os.environ.get("HALLPASS_README", FOLDER.parent / "README.md"))
DOCUMENT = Path(os.environ.get("HALLPASS_DOCUMENT", FOLDER.parents[2] / "docs/validate.md"))
VECTORS = Path(os.environ.get("HALLPASS_VECTORS", FOLDER.parents[2] / "verify/vectors"))
CLIENT = {"client_id": "books", "client_secret": "books-dev-secret"}
PASSWORD = "correct horse battery staple"

with_service = pytest.mark.skipif(not PROGRAM, reason="HALLPASS_PROGRAM names no program")


class Service:
    def __init__(self, folder: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "HALLPASS_RATE_LIMITS__ENABLED": "false"}
        arguments = [PROGRAM, "dev", "--listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
        self.process = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        found = next(filter(None, (re.search(r"Docs +(http://[^/]+)/docs", line) for line in self.process.stdout)))
        self.url = found[1]

    def person(self, name: str) -> str:
        who = {"email": f"{name}@example.com", "password": PASSWORD}
        httpx.post(f"{self.url}/auth/register", json=who).raise_for_status()
        return str(httpx.post(f"{self.url}/auth/login", json=who).raise_for_status().json()["accessToken"])

    def machine(self) -> str:
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{self.url}/oauth2/token", data=form, auth=("books", "books-dev-secret"))
        return str(answer.raise_for_status().json()["access_token"])

    def log_out(self, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        httpx.post(f"{self.url}/auth/logout", headers=headers).raise_for_status()

    def settings(self, **more: Any) -> Any:
        return {"issuer": self.url, "audience": self.url, **CLIENT, **more}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.stop()


def until(what: str, holds: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it does not come to pass: {what}"
        time.sleep(0.01)


def code(validator: Validator, token: str, **needs: Any) -> str:
    try:
        validator.verify(token, **needs)
    except TokenError as error:
        return error.code
    return "ok"


@with_service
def test_a_logout_is_heard_of_and_what_is_for_somebody_else_refused(service: Service) -> None:
    token = service.person("ada")
    with (
        Validator(**service.settings()) as validator,
        Validator(**service.settings(audience="https://other.example.com")) as elsewhere,
    ):
        assert code(validator, token) == "ok"
        assert code(elsewhere, token) == "invalid_token"
        assert code(validator, service.machine()) == "forbidden"
        assert code(validator, service.machine(), machines=True) == "ok"
        service.log_out(token)
        until("it is heard of", lambda: code(validator, token) == "token_revoked")


@with_service
async def test_a_logout_is_heard_of_in_an_event_loop(service: Service) -> None:
    token = service.person("ada")
    async with AsyncValidator(**service.settings()) as validator:
        assert (await validator.verify(token)).payload["email"] == "ada@example.com"
        service.log_out(token)
        end = time.monotonic() + 10
        with pytest.raises(TokenError, match="revoked"):
            while time.monotonic() < end:
                await validator.verify(token)
                await asyncio.sleep(0.01)


@with_service
def test_when_the_service_is_gone_what_happens_is_what_on_stale_says(service: Service) -> None:
    token = service.person("ada")
    expected = {"reject": "dependency_unavailable", "introspect": "dependency_unavailable", "allow": "ok"}
    validators = {policy: Validator(**service.settings(on_stale=policy)).connect() for policy in expected}
    try:
        assert {code(validator, token) for validator in validators.values()} == {"ok"}
        service.stop()
        for policy, validator in validators.items():
            until("it is stale", lambda validator=validator: not validator.status().is_fresh)  # type: ignore[misc]
            assert code(validator, token) == expected[policy], policy
    finally:
        for validator in validators.values():
            validator.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@with_service
def test_the_quickstart_of_the_readme_learns_of_a_logout(service: Service, tmp_path: Path) -> None:
    quickstart = README.read_text().split("\n```python\n")[1].split("\n```\n")[0]
    assert len([line for line in quickstart.splitlines() if line]) <= 15
    assert f"\n```py\n{quickstart}\n```\n" in DOCUMENT.read_text(), "docs/validate.md has the same"
    (tmp_path / "main.py").write_text(quickstart)
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HALLPASS_ISSUER": service.url,
        "HALLPASS_CLIENT_SECRET": CLIENT["client_secret"],
        **({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}),
    }
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environment)
    try:
        token = service.person("dan")

        def me() -> httpx.Response:
            headers = {"authorization": f"Bearer {token}"}
            return httpx.get(f"http://127.0.0.1:{port}/me", headers=headers)

        def is_up() -> bool:
            try:
                return me().status_code > 0
            except httpx.HTTPError:
                return False

        until("it listens", is_up)
        assert me().status_code == 200
        service.log_out(token)
        until("it refuses the token", lambda: me().status_code == 401)
        assert me().json()["code"] == "token_revoked"
    finally:
        server.terminate()
        server.wait(20)


def equals(expected: Any, answer: Any) -> bool:
    """Whether an answer has every member that is expected of it."""
    if isinstance(expected, dict):
        return all(name == "claims" or equals(value, answer.get(name, ...)) for name, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(answer) and all(map(equals, expected, answer))
    return type(expected) is type(answer) and bool(expected == answer)


@pytest.mark.skipif(not VECTORS.is_dir(), reason=f"there are no vectors in {VECTORS}")
def test_each_vector_gets_its_verdict() -> None:
    for file in sorted(VECTORS.glob("*.jsonl")):
        lines = file.read_bytes()
        probe = [sys.executable, str(FOLDER / "probe.py")]
        answers = subprocess.run(probe, input=lines, stdout=subprocess.PIPE, check=True).stdout.splitlines()
        vectors = [json.loads(line) for line in lines.splitlines()]
        assert len(vectors) == len(answers)
        wrong = [
            vector.get("id")
            for vector, answer in zip(vectors, answers, strict=True)
            if not equals(vector["expect"], json.loads(answer))
        ]
        assert wrong == [], file
