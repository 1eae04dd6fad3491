from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
import traceback
from typing import Any

import pytest
from issuer import AUDIENCE, ID, SECRET, Issuer, MovedClock, until

from hallpass_verify import AsyncValidator, IssuerError, MetadataError, SettingsError, TokenError, Validator


async def outcome(validator: AsyncValidator, token: str, **needs: Any) -> str:
    try:
        await validator.verify(token, **needs)
    except TokenError as error:
        return error.code
    return "ok"


async def refusal(validator: AsyncValidator, token: str, **needs: Any) -> TokenError:
    with pytest.raises(TokenError) as caught:
        await validator.verify(token, **needs)
    return caught.value


async def test_a_right_token_gives_what_it_says_and_each_caller_a_copy(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        token = issuer.token()
        first = await validator.verify(token)
        assert (first.payload["sub"], first.header["kid"]) == ("42", issuer.kid)
        first.payload["roles"].append("admin")
        assert (await validator.verify(token)).payload["roles"] == ["member"]


async def test_what_is_wrong_with_a_token_is_401_with_a_challenge(issuer: Issuer, settings: Any) -> None:
    now = int(time.time())
    async with AsyncValidator(**settings) as validator:
        for code, token in [
            ("invalid_token", issuer.token(aud="x")),
            ("invalid_token", issuer.token(iss="x")),
            ("invalid_token", issuer.token(header={"typ": "JWT"})),
            ("invalid_token", issuer.token(without=["sv"])),
            ("invalid_token", issuer.token(iat=now + 60)),
            ("invalid_token", "junk"),
            ("token_expired", issuer.token(exp=now - 60)),
        ]:
            error = await refusal(validator, token)
            assert (error.code, error.status, error.retry_after) == (code, 401, None)
            challenge = error.www_authenticate or ""
            assert challenge.startswith('Bearer error="invalid_token", error_description="')
            assert error.problem["type"] == f"urn:hallpass:error:{code}"


async def test_any_of_several_audiences_is_enough(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**{**settings, "audience": ["a", AUDIENCE]}) as validator:
        assert await outcome(validator, issuer.token()) == "ok"
        assert await outcome(validator, issuer.token(aud=["a", "x"])) == "ok"
        assert await outcome(validator, issuer.token(aud="x")) == "invalid_token"


async def test_a_machine_is_let_in_where_that_is_said(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        machine = issuer.machine(scope="orders:read orders:write")
        for needs, expected in [
            ({}, "forbidden"),
            ({"scopes": "orders:read"}, "forbidden"),
            ({"machines": True}, "ok"),
            ({"machines": True, "scopes": "orders:read orders:write"}, "ok"),
            ({"machines": True, "scopes": ["orders:read", "orders:all"]}, "insufficient_scope"),
            ({"machines": True, "role": "admin"}, "forbidden"),
        ]:
            assert await outcome(validator, machine, **needs) == expected, needs
        admin = issuer.token(roles=["admin", "member"])
        assert await outcome(validator, admin, role=["admin", "member"]) == "ok"


async def test_whoever_logged_in_too_long_ago_is_asked_again(issuer: Issuer, settings: Any) -> None:
    now = int(time.time())
    async with AsyncValidator(**settings) as validator:
        assert await outcome(validator, issuer.token(auth_time=now - 50), max_auth_age=60) == "ok"
        for token in (issuer.token(auth_time=now - 70), issuer.token()):
            error = await refusal(validator, token, max_auth_age=60)
            assert (error.status, error.code) == (401, "insufficient_user_authentication")
            assert error.www_authenticate == 'Bearer error="insufficient_user_authentication", max_age="60"'
        for auth_time in (None, "now", True, now + 0.5):
            assert await outcome(validator, issuer.token(auth_time=auth_time), max_auth_age=60) == "invalid_token"


@pytest.mark.parametrize(
    "entry",
    [
        {"sid": f"{ID}2"},
        {"jti": f"{ID}1"},
        {"sub": "42", "sv": 4},
        {"kid": "its own"},
        {"all": True, "inc": 8},
        {"all": True, "inc": 8, "partition": 42},
    ],
)
async def test_what_is_taken_back_is_heard_of(issuer: Issuer, settings: Any, entry: dict[str, Any]) -> None:
    entry = {**entry, "kid": issuer.kid} if "kid" in entry else entry
    token = issuer.token()
    async with AsyncValidator(**settings) as validator:
        assert await outcome(validator, token) == "ok"
        issuer.revoke(**entry)

        async def is_refused() -> bool:
            return await outcome(validator, token) == "token_revoked"

        await until("it is refused", is_refused)
    async with AsyncValidator(**settings) as late:
        assert await outcome(late, token) == "token_revoked", "it stands in the list, too"


async def test_what_concerns_others_is_nothing_to_a_token(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        for entry in [
            {"sid": f"{ID}3"},
            {"sub": "42", "sv": 3},
            {"sub": "43", "sv": 9},
            {"kid": "another"},
            {"all": True, "inc": 7},
            {"all": True, "inc": 8, "partition": 41},
        ]:
            issuer.revoke(**entry)
        await until("all have come", lambda: validator.status().revocations == 6)
        assert await outcome(validator, issuer.token()) == "ok"


async def test_knowledge_that_is_too_old_says_503(issuer: Issuer, settings: Any, moved: MovedClock) -> None:
    async with AsyncValidator(**settings) as validator:
        token = issuer.token()
        issuer.is_beating = False
        moved.ahead += 1.5
        assert await outcome(validator, token) == "ok", "not yet"
        moved.ahead += 1.0
        error = await refusal(validator, token)
        assert (error.status, error.code, error.retry_after) == (503, "dependency_unavailable", 1)
        assert (error.is_verdict, error.headers) == (False, {"Retry-After": "1"})


async def test_a_heartbeat_is_as_old_as_it_says(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        issuer.late_ms = 10_000
        await until("the knowledge is stale", lambda: not validator.status().is_fresh)
        issuer.late_ms = 0
        await until("it is fresh again", lambda: validator.status().is_fresh)


async def test_while_it_is_stale_the_issuer_is_asked(issuer: Issuer, settings: Any, moved: MovedClock) -> None:
    async with AsyncValidator(**settings, on_stale="introspect") as validator:
        issuer.is_beating = False
        issuer.instead["/revocations/stream"] = (503, "{}")
        issuer.cut()
        moved.ahead += 3
        assert await outcome(validator, issuer.token()) == "ok"
        assert issuer.asked["/oauth2/introspect"][0].body.endswith("&token_type_hint=access_token")
        for answer, expected in [
            ((200, '{"active": false}'), "token_revoked"),
            ((503, "{}"), "dependency_unavailable"),
            ((200, "{}"), "dependency_unavailable"),
            ((200, "x"), "dependency_unavailable"),
        ]:
            issuer.instead["/oauth2/introspect"] = answer
            assert await outcome(validator, issuer.token()) == expected


async def test_a_service_can_outlive_its_issuer(issuer: Issuer, settings: Any, moved: MovedClock) -> None:
    async with AsyncValidator(**settings, on_stale="allow") as validator:
        issuer.revoke(sid=f"{ID}3")
        await until("it has come", lambda: validator.status().revocations == 1)
        issuer.stop()
        moved.ahead += 3
        assert await outcome(validator, issuer.token()) == "ok"
        assert await outcome(validator, issuer.token(sid=f"{ID}3")) == "token_revoked"


async def test_a_stream_is_gone_on_with_behind_the_last_event(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings, silence_timeout=0.3) as validator:
        issuer.revoke(sid=f"{ID}5")
        await until("it has come", lambda: validator.status().revocations == 1)

        def fall_silent() -> None:
            issuer.is_beating = False

        for trouble in (issuer.cut, lambda: issuer.send("reconnect", {}), fall_silent):
            await until("it is open", lambda: len(issuer.streams) == 1)
            before = issuer.count("/revocations/stream")
            trouble()
            await until("it comes again", lambda before=before: issuer.count("/revocations/stream") > before)  # type: ignore[misc]
            issuer.is_beating = True
            assert issuer.asked["/revocations/stream"][-1].headers["last-event-id"] == "1"
        assert issuer.count("/revocations") == 1, "and the list is not fetched for it"


@pytest.mark.parametrize(
    ("event", "data"), [("revocation", {"colour": "red", "exp": 9}), ("heartbeat", None), ("reset", {})]
)
async def test_what_is_not_understood_makes_the_list_be_fetched(
    issuer: Issuer, settings: Any, event: str, data: Any
) -> None:
    async with AsyncValidator(**settings):
        await until("the stream is open", lambda: len(issuer.streams) == 1)
        issuer.send(event, data)
        await until("the list is fetched", lambda: issuer.count("/revocations") == 2)


async def test_without_a_stream_the_list_is_asked_for_by_its_tag(issuer: Issuer, settings: Any) -> None:
    issuer.metadata = {"hallpass_revocations_stream_endpoint": None}
    async with AsyncValidator(**{**settings, "max_staleness": 0.3}) as validator:
        await until("it is asked for again", lambda: issuer.count("/revocations") >= 3)
        assert issuer.asked["/revocations"][2].headers["if-none-match"] == '"0"'
        await until("it is fresh", lambda: validator.status().is_fresh)
        issuer.revoke(sid=f"{ID}2")

        async def is_refused() -> bool:
            return await outcome(validator, issuer.token()) == "token_revoked"

        await until("it is refused", is_refused)


async def test_an_own_token_that_is_not_taken_is_replaced(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings):
        await until("the stream is open", lambda: len(issuer.streams) == 1)
        issuer.instead["/revocations/stream"] = (401, "{}")
        issuer.cut()
        await until("another one is got", lambda: issuer.count("/oauth2/token") >= 2)


async def test_unknown_key_ids_cause_one_fetch(issuer: Issuer, settings: Any, moved: MovedClock) -> None:
    async with AsyncValidator(**settings) as validator:
        for number in range(5):
            token = issuer.token(header={"kid": f"k{number}"})
            assert await outcome(validator, token) == "invalid_token"
        assert issuer.count("/jwks") == 2
        issuer.new_key()
        assert await outcome(validator, issuer.token()) == "invalid_token", "by the keys of a moment ago"
        issuer.is_beating = False
        moved.ahead += 11
        issuer.cut()
        issuer.is_beating = True

        async def is_found() -> bool:
            return await outcome(validator, issuer.token()) == "ok"

        await until("the new key is found", is_found)


async def test_an_unknown_key_is_no_verdict_without_the_issuer(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        issuer.instead["/jwks"] = (503, "{}")
        assert await outcome(validator, issuer.token(header={"kid": "new"})) == "dependency_unavailable"
        assert await outcome(validator, issuer.token()) == "ok", "the last good set is in use"


@pytest.mark.parametrize("body", ['{"keys": []}', "{}", "x", '{"keys": [7]}'])
async def test_a_set_that_is_broken_is_none(issuer: Issuer, settings: Any, body: str) -> None:
    async with AsyncValidator(**settings) as validator:
        issuer.instead["/jwks"] = (200, body)
        assert await outcome(validator, issuer.token(header={"kid": "new"})) == "dependency_unavailable"
        assert validator.status().keys == 1


async def test_a_service_can_start_before_its_issuer(issuer: Issuer, settings: Any) -> None:
    issuer.instead["/.well-known/oauth-authorization-server"] = (503, "{}")
    async with AsyncValidator(**settings, lazy=True) as validator:
        assert await outcome(validator, issuer.token()) == "dependency_unavailable"
        del issuer.instead["/.well-known/oauth-authorization-server"]

        async def is_there() -> bool:
            return await outcome(validator, issuer.token()) == "ok"

        await until("it is there", is_there)


async def test_without_what_it_needs_nothing_begins(issuer: Issuer, settings: Any) -> None:
    for metadata in (
        {"issuer": "https://other.example.com"},
        {"token_endpoint": "https://evil.example.com/token"},
        {"hallpass_revocations_endpoint": None},
    ):
        issuer.metadata = metadata
        with pytest.raises(MetadataError):
            await AsyncValidator(**settings).__aenter__()
    issuer.metadata = {}
    issuer.instead["/jwks"] = (302, "{}")
    with pytest.raises(IssuerError, match="302"):
        await AsyncValidator(**settings).__aenter__()
    assert issuer.count("/elsewhere") == 0, "no redirect is followed"


def test_settings_that_do_not_fit_together_are_refused(settings: Any) -> None:
    for wrong in (
        {"client_secret": None},
        {"issuer": "http://id.example.com"},
        {"issuer": "ftp://id.example.com"},
        {"issuer": "id"},
        {"audience": []},
        {"reach_at": "http://hallpass:8080"},
        {"on_stale": "guess"},
    ):
        with pytest.raises(SettingsError):
            AsyncValidator(**{**settings, **wrong})


async def test_an_issuer_can_be_reached_by_another_way(issuer: Issuer, settings: Any) -> None:
    name = "https://id.example.com"
    own = json.loads(issuer._discovery())
    issuer.metadata = {member: value.replace(issuer.url, name) for member, value in own.items()}
    async with AsyncValidator(**{**settings, "issuer": name, "reach_at": issuer.url}) as validator:
        assert await outcome(validator, issuer.token(iss=name)) == "ok"


async def test_after_its_end_it_says_nothing(issuer: Issuer, settings: Any) -> None:
    async with AsyncValidator(**settings) as validator:
        await until("the stream is open", lambda: len(issuer.streams) == 1)
    assert await outcome(validator, issuer.token()) == "dependency_unavailable"
    issuer.send("heartbeat", {})
    await until("the stream is closed", lambda: len(issuer.streams) == 0)


async def test_no_secret_and_no_token_is_shown(
    issuer: Issuer, settings: Any, moved: MovedClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncValidator(**settings) as validator:
        token = issuer.token()
        issuer.instead["/oauth2/token"] = (401, "{}")
        with pytest.raises(IssuerError) as failed:
            await AsyncValidator(**settings).__aenter__()
        issuer.stop()
        moved.ahead += 3
        refused = await refusal(validator, token)
        await until("a problem is told", lambda: len(caplog.records) > 0)
        errors = "".join(traceback.format_exception(failed.value) + traceback.format_exception(refused))
        shown = repr([validator, validator._settings, vars(refused)]) + errors + caplog.text
        basic = base64.b64encode(f"orders:{SECRET}".encode()).decode()
        assert not any(secret in shown for secret in (SECRET, "own-token", token, basic))


async def test_a_long_list_leaves_others_their_turns(issuer: Issuer, settings: Any) -> None:
    issuer.entries = [{"sid": f"{ID[:-5]}{number:06}", "exp": 9} for number in range(100_000)]
    turns, longest = 0, 0.0

    async def count() -> None:
        nonlocal turns, longest
        last = time.monotonic()
        while True:
            await asyncio.sleep(0)
            turns, longest, last = turns + 1, max(longest, time.monotonic() - last), time.monotonic()

    counting = asyncio.create_task(count())
    try:
        async with AsyncValidator(**{**settings, "request_timeout": 10}) as validator:
            assert validator.status().revocations == 100_000
    finally:
        counting.cancel()
    assert turns > 20
    assert longest < 0.6, f"{longest} s"


def test_a_thread_hears_of_a_logout_without_an_event_loop(issuer: Issuer, settings: Any, moved: MovedClock) -> None:
    def code(token: str, **needs: Any) -> str:
        try:
            validator.verify(token, **needs)
        except TokenError as error:
            return error.code
        return "ok"

    with Validator(**settings) as validator:
        token = issuer.token()
        assert code(token) == "ok"
        assert code(issuer.machine()) == "forbidden"
        assert code(issuer.machine(), machines=True, scopes="orders:read") == "ok"
        issuer.new_key()
        token = issuer.token()
        assert code(token) == "ok", "it waits for the new key"
        issuer.revoke(sid=f"{ID}2")
        asyncio.run(until("it is refused", lambda: code(token) == "token_revoked"))
        codes: list[str] = []
        threads = [threading.Thread(target=lambda: codes.append(code(issuer.token(sid=f"{ID}8")))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert codes == ["ok"] * 8
        issuer.is_beating = False
        moved.ahead += 3
        assert code(issuer.token(sid=f"{ID}8")) == "dependency_unavailable"
    assert code(issuer.token(sid=f"{ID}8")) == "dependency_unavailable", "after its end"
    assert not [thread for thread in threading.enumerate() if thread.name == "hallpass-verify"]


def test_two_validators_know_nothing_of_each_other(issuer: Issuer, settings: Any) -> None:
    with Validator(**settings) as one, Validator(**{**settings, "audience": "other"}) as other:
        assert one.verify(issuer.token()).payload["sub"] == "42"
        with pytest.raises(TokenError):
            other.verify(issuer.token())
