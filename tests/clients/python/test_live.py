"""
hallpass-session beside a running service: HALLPASS_URL is a `hallpass dev`, FRONT_URL tests/sdk/front.py before it. The
programs are those of the README, out of the package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import anyio
import httpx
import pytest

from hallpass_session import AsyncSession, FileStore, HallpassError, Session

SERVICE = os.environ["HALLPASS_URL"]
FRONT = os.environ["FRONT_URL"]
ADMIN = ("johndoe@example.com", "password")
PASSWORD = "an engine weaves patterns"
PATIENCE = 120
"""The machine may be busy with something else. Seconds."""

CALLER = """
import sys
from concurrent.futures import ThreadPoolExecutor
import httpx
from hallpass_session import FileStore, Session

front, file = sys.argv[1:]
with Session(front, store=FileStore(file)) as session, httpx.Client(auth=session) as api:
    def call(_):
        return api.get(front + "/users/me", timeout=60).status_code
    print(call(0), flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(25) as threads:
        print(*set(threads.map(call, range(25))), session.ended, flush=True)
"""


def readme(name: str) -> str:
    text = str(metadata("hallpass-session").json["description"])
    found = re.search(rf"```python\n# {name}\n(.*?)```", text, re.DOTALL)
    assert found, name
    program = found[1].replace("http://127.0.0.1:8080", SERVICE)
    assert program != found[1]
    return program


def run(program: str, folder: Path, words: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        input=words,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        start_new_session=True,  # no terminal to ask
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_program_of_the_readme_stays_logged_in(tmp_path: Path) -> None:
    program = readme("app.py")
    lines = [line for line in program.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10
    assert "Hello johndoe@example.com" in run(program, tmp_path, f"{ADMIN[0]}\n{ADMIN[1]}\n")
    assert run(program, tmp_path, "") == "Hello johndoe@example.com\n", "nobody is asked again"
    assert run(readme("tasks.py"), tmp_path, "") == "Hello johndoe@example.com\n", "the same session"


def test_an_account_lives(tmp_path: Path) -> None:
    ends: list[str] = []
    with Session(SERVICE, store=FileStore(tmp_path / "session")) as session:
        account = session.register("threads@example.com", PASSWORD, first_name="Ada")
        assert account["message"]
        with pytest.raises(HallpassError) as taken:
            session.register("threads@example.com", PASSWORD)
        assert (taken.value.status, taken.value.code) == (409, "email_taken")
        with pytest.raises(HallpassError) as weak:
            session.register("weak@example.com", "short")
        assert (weak.value.code, weak.value.fields[0]["field"]) == ("weak_password", "password")
        with pytest.raises(HallpassError) as wrong:
            session.login("threads@example.com", "wrong")
        assert wrong.value.code == "invalid_credentials"
        assert session.login("threads@example.com", PASSWORD)["first_name"] == "Ada"
        session.on_ended(ends.append)
        with httpx.Client(auth=session) as api:
            assert api.get(f"{SERVICE}/users/me").json()["email"] == "threads@example.com"
            with Session(SERVICE) as elsewhere:
                elsewhere.login("threads@example.com", PASSWORD)
                elsewhere.logout(everywhere=True)
            assert api.get(f"{SERVICE}/users/me").status_code == 401
    assert ends == ["invalid_refresh_token"]


def test_an_account_lives_in_tasks() -> None:
    async def live() -> None:
        ends: list[str] = []
        async with AsyncSession(SERVICE) as session, httpx.AsyncClient(auth=session) as api:
            await session.register("tasks@example.com", PASSWORD)
            await session.login("tasks@example.com", PASSWORD)
            session.on_ended(ends.append)
            assert (await api.get(f"{SERVICE}/users/me")).json()["email"] == "tasks@example.com"
            await session.logout()
            assert (await api.get(f"{SERVICE}/users/me")).status_code == 401
        assert ends == ["logged_out"]

    anyio.run(live)


def test_fifty_calls_of_two_programs_make_one_refresh_and_a_busy_service_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "session"
    with Session(FRONT, store=FileStore(file)) as session:
        session.login(*ADMIN)
    programs = [
        subprocess.Popen([sys.executable, "-c", CALLER, FRONT, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for program in programs:
            assert program.stdout and program.stdout.readline() == "200\n"
        before = refreshes()
        httpx.post(f"{FRONT}/front/expire")
        httpx.post(f"{FRONT}/front/busy")
        outputs = []
        for program in programs:
            assert program.stdin
            program.stdin.write("go\n")
            program.stdin.flush()
        for program in programs:
            outputs.append(program.communicate(timeout=PATIENCE)[0])
        assert outputs == ["200 None\n", "200 None\n"]
        assert refreshes() == before + 1
    finally:
        for program in programs:
            program.kill()
            program.wait()


def refreshes() -> int:
    return int(json.loads(httpx.get(f"{FRONT}/front/refreshes").text)["refreshes"])
