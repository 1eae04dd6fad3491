"""The probe of the vectors (verify/vectors/README.md): lines of JSON on stdin, a verdict for each on stdout."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx

from hallpass_verify import Clock, IssuerError, TokenError, Validator, bearer_token
from hallpass_verify._check import Check, Requirements, stale
from hallpass_verify._http import SHORT_ANSWER, Answer, Request, refusal
from hallpass_verify._key_keeper import KeyKeeper
from hallpass_verify._listener import Feed, Listener, read_snapshot
from hallpass_verify._verifier import Rules, UnknownKid

KEY_SETS: dict[str, str] = {}


class Published:
    """What the issuer answers to whoever asks for its keys."""

    def __init__(self) -> None:
        self.name: str | None = None

    async def send(self, request: Request, limit: int = SHORT_ANSWER) -> Answer:
        if self.name is None:
            raise IssuerError("the issuer cannot be asked")
        return Answer(200, {}, KEY_SETS[self.name])


class Parts:
    """A validator's parts, without requests of their own, at the times of a line."""

    def __init__(self, line: dict[str, Any], cool_down: float = 0.0) -> None:
        self.at_ms, self.now_ms = 0, line.get("now_ms", 0)
        clock = Clock(lambda: self.now_ms / 1000, Milliseconds(lambda: self.at_ms))
        self.has_stream = line.get("stream", False)
        self.published = Published()
        self.feed = Feed(clock)
        leeway, staleness = line["leeway_ms"] // 1000, line.get("max_staleness_ms", 2000)
        audiences = line["audience"]
        audiences = (audiences,) if isinstance(audiences, str) else tuple(audiences)
        rules = Rules(line["issuer"], audiences, line["typ"], leeway)
        self.keys = KeyKeeper(self.published, rules, clock, cool_down, 100)
        self.keys.url = httpx.URL("https://issuer.example/jwks")
        self.listener = Listener(self.feed, self.keys.want, clock, leeway, staleness, self.has_stream)
        self.check = Check(self.keys, self.feed, rules, clock, staleness, line.get("policy") == "allow")
        self.stream: Any = None

    async def publish(self, name: str | None) -> None:
        self.published.name = name
        try:
            await self.keys.fetch(wanted=True)
        except IssuerError:
            pass

    async def judge(self, token: str, needs: Requirements) -> None:
        try:
            known = self.check.known(token)
        except UnknownKid:
            known = await self.check.known_settled(token)
        if not self.check.stands(known):
            raise stale()
        self.check.permitted(known, needs)


class Milliseconds:
    """A clock of whole milliseconds, in seconds without a rounding error."""

    def __init__(self, read: Callable[[], int]) -> None:
        self.read = read

    def __call__(self) -> Any:
        return Fraction(self.read(), 1000)


async def verdict(check: Any, with_answer: bool = False) -> dict[str, Any]:
    try:
        await check
    except TokenError as error:
        return refused(error, with_answer)
    return {"verdict": "ok"}


def refused(error: TokenError, with_answer: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"verdict": "refused", "code": error.code, "status": error.status}
    if with_answer:
        challenge = error.www_authenticate
        challenge = challenge and re.sub(r', error_description="[^"]*"', "", challenge)
        answer |= {"challenge": challenge, "retry_after": error.retry_after}
    return answer


def needs_of(line: dict[str, Any], person: bool) -> Requirements:
    required = line.get("require") or {}
    machines = not required.get("person", person)
    return Requirements(required.get("scopes", []), required.get("roles", []), None, machines)


async def keys(line: dict[str, Any]) -> dict[str, Any]:
    KEY_SETS[line["name"]] = line["jwks"]
    return {"verdict": "ok"}


async def fresh(line: dict[str, Any]) -> Parts:
    """A validator that has heard a moment ago that nothing is revoked."""
    parts = Parts(line, cool_down=10.0)
    await parts.publish(line["keys"])
    parts.feed.completed(0)
    return parts


async def token(line: dict[str, Any]) -> dict[str, Any]:
    parts = await fresh(line)
    return await verdict(parts.judge(line["token"], needs_of(line, person=False)))


async def request(line: dict[str, Any]) -> dict[str, Any]:
    parts = await fresh(line)

    async def admit() -> None:
        await parts.judge(bearer_token(line["authorization"]), needs_of(line, person=True))

    return await verdict(admit(), with_answer=True)


async def feed(line: dict[str, Any]) -> dict[str, Any]:
    parts = Parts(line)
    return {"steps": [await step(parts, each) for each in line["steps"]]}


async def step(parts: Parts, each: dict[str, Any]) -> dict[str, Any]:
    parts.at_ms, parts.now_ms = each["at_ms"], each.get("now_ms", parts.now_ms)
    if each["do"] == "keys":
        await parts.publish(each["keys"])
        return {}
    if each["do"] == "check":
        return await verdict(parts.judge(each["token"], Requirements(machines=True)))
    wait: dict[str, Any] = {}
    try:
        HEARD[each["do"]](parts, each)
    except Exception as error:
        parts.stream = None
        parts.listener.interrupted(error)
        asked_for = getattr(error, "retry_after", None)
        if asked_for is not None:
            wait = {"wait_ms": min(asked_for, 30) * 1000}
    return {**following(parts), **wait}


def following(parts: Parts) -> dict[str, Any]:
    if parts.stream is not None:
        return {"next": "read"}
    cursor = parts.listener.cursor
    if cursor is None or not parts.has_stream:
        return {"next": "list"}
    return {"next": "open", "last_event_id": cursor}


def hear_list(parts: Parts, each: dict[str, Any]) -> None:
    headers = each.get("headers", {})
    if parts.listener.is_unchanged(each["status"]):
        parts.listener.unchanged(parts.listener.clock_of(each["asked_ms"], headers), headers)
        return
    answer = Answer(each["status"], headers, each.get("body", "")).ok()
    clock = parts.listener.clock_of(each["asked_ms"], headers)
    parts.listener.list(clock, headers, read_snapshot(answer.body))


def hear_open(parts: Parts, each: dict[str, Any]) -> None:
    headers = each.get("headers", {})
    if each["status"] != 200:
        raise refusal(each["status"], headers)
    parts.stream = parts.listener.opened(each["asked_ms"], headers)


def hear_bytes(parts: Parts, each: dict[str, Any]) -> None:
    piece = each["text"].encode() if "text" in each else base64.b64decode(each["base64"])
    parts.listener.read(parts.stream, piece)
    if parts.listener.is_over(parts.stream):
        parts.stream = None


def hear_end(parts: Parts, _each: dict[str, Any]) -> None:
    parts.stream = None


HEARD = {"list": hear_list, "open": hear_open, "bytes": hear_bytes, "end": hear_end}
KINDS = {"keys": keys, "token": token, "request": request, "feed": feed}


async def answer_lines() -> None:
    loop = asyncio.get_running_loop()
    while text := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        line = json.loads(text)
        kind = KINDS.get(line["kind"])
        answer = {"verdict": "skipped"} if kind is None else await kind(line)
        print(json.dumps(answer), flush=True)


def live(issuer: str, audience: str, client_id: str) -> None:
    secret = os.environ["HALLPASS_CLIENT_SECRET"]
    with Validator(issuer=issuer, audience=audience, client_id=client_id, client_secret=secret) as validator:
        print("ready", flush=True)
        for line in sys.stdin:
            answer = {"verdict": "ok"}
            try:
                validator.verify(line.rstrip("\n"), machines=True)
            except TokenError as error:
                answer = refused(error)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:
        live(*sys.argv[2:5])
    else:
        asyncio.run(answer_lines())
