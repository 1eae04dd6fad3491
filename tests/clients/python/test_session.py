"""hallpass-session as it is packed, against a hallpass that does what is wanted, under a clock that is moved."""

from __future__ import annotations

import stat
import time
import traceback
from pathlib import Path

import httpx
import pytest
from conftest import ADA, API, HALLPASS, REFRESH, TTL, Answer, Fake, ManualClock, Opener, World, lost, nobody, plain, problem

from hallpass_session import AsyncSession, FileStore, HallpassError, MemoryStore, Session

HELLO = f"{API}/hello"


def hello(world: World) -> int:
    answer = world.send("GET", HELLO)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["hello"])


def test_registers_logs_in_calls_the_api_and_logs_out(opened: Opener, service: Fake) -> None:
    world = opened()
    assert [world.session.user, world.session.ended] == [None, None]
    assert world.register(*ADA)["id"] == 2
    assert world.login(*ADA)["email"] == ADA[0]
    assert world.session.user["id"] == 2
    assert hello(world) == 2
    assert world.token() == "access.secret.1.1"
    world.logout()
    assert [world.session.user, world.session.ended, world.ends] == [None, "logged_out", ["logged_out"]]
    assert world.token() is None
    assert world.send("GET", HELLO).status_code == 401
    assert service.asked[-1].authorization is None
    world.logout()
    assert len(service.to("/auth/logout")) == 1 and world.ends == ["logged_out"]


def test_says_by_a_code_what_is_wrong_and_when_to_come_back(opened: Opener, service: Fake) -> None:
    world = opened()
    with pytest.raises(HallpassError) as wrong:
        world.login(ADA[0], "another")
    assert (wrong.value.status, wrong.value.code) == (401, "invalid_credentials")
    service.plan(HALLPASS, problem(429, "rate_limited", Retry_After="17", X_Request_Id="r1"))
    with pytest.raises(HallpassError) as limited:
        world.login(*ADA)
    assert (limited.value.code, limited.value.retry_after, limited.value.request_id) == ("rate_limited", 17, "r1")
    for answer, code in [(nobody, "unreachable"), (plain(404), "unexpected_answer"), (plain(302, Location=API), "unexpected_answer")]:
        service.plan(HALLPASS, answer)
        with pytest.raises(HallpassError) as error:
            world.login(*ADA)
        assert error.value.code == code
    assert len(service.to("/auth/login")) == len(service.asked) == 5, "none was sent again, or elsewhere"
    service.plan(HALLPASS, problem(503, "overloaded", Retry_After="2"))
    world.login(*ADA)


def test_no_error_and_no_print_has_a_secret(world: World, service: Fake) -> None:
    errors: list[BaseException] = []
    for plan in (problem(401, "invalid_credentials"), nobody):
        service.plan(HALLPASS, plan)
        with pytest.raises(HallpassError) as raised:
            world.login(ADA[0], "hush secret")
        errors.append(raised.value)
    printed = [repr(world.session), repr(world.session._core.saved), repr(vars(world.session))]
    for error in errors:
        printed += [repr(error), str(error), repr(vars(error)), repr(error.__context__ and vars(error.__context__))]
        printed += [line for line in traceback.format_exception(error) if "File " not in line]
    assert not any("secret" in text for text in printed), printed


def test_a_token_that_is_over_is_renewed_once_for_fifty_calls(world: World, service: Fake, clock: ManualClock) -> None:
    for refreshes in (1, 2):
        clock.time += TTL
        assert world.many(50, HELLO) == [200] * 50
        assert service.refreshes == refreshes


def test_a_token_that_only_the_service_knows_is_over_is_renewed_once(world: World, service: Fake) -> None:
    service.expire_all()
    assert world.many(50, HELLO) == [200] * 50
    assert service.refreshes == 1
    service.expire_all()
    assert world.send("POST", HELLO, content=b"x").status_code == 200
    assert [asked.body for asked in service.asked if asked.method == "POST" and asked.url == HELLO] == [b"x", b"x"]
    service.plan(API, problem(401, "token_expired"), problem(401, "token_expired"))
    before = len(service.to("/hello"))
    assert world.send("GET", HELLO).status_code == 401
    assert len(service.to("/hello")) == before + 2, "once, and no more"


def test_a_token_is_renewed_ahead_of_time(world: World, service: Fake, clock: ManualClock) -> None:
    clock.time += TTL - 61
    hello(world)
    assert service.refreshes == 0
    clock.time += 2
    service.plan(REFRESH, problem(503, "dependency_unavailable", Retry_After="1"))
    assert hello(world) == 2
    assert (service.refreshes, clock.slept) == (1, []), "nobody waits for it"
    hello(world)
    assert service.refreshes == 1, "it is left alone for a while"
    clock.time += 15
    hello(world)
    assert (service.refreshes, service.asked[-1].authorization) == (2, "Bearer access.secret.1.2")


@pytest.mark.parametrize("answer", [problem(401, "invalid_token"), plain(401), problem(403, "forbidden"), problem(500, "internal_error")])
def test_other_refusals_are_the_apps(world: World, service: Fake, answer: Answer) -> None:
    service.plan(API, answer)
    world.send("GET", HELLO)
    assert (service.refreshes, len(service.to("/hello")), world.ends) == (0, 1, [])


@pytest.mark.parametrize(
    "answers",
    [
        [lost],
        [nobody, nobody, nobody],
        [problem(503, "dependency_unavailable", Retry_After="3")],
        [problem(429, "rate_limited", Retry_After="30")],
        [problem(500, "internal_error")],
        [problem(408, "request_timeout")],
        [plain(502), plain(504), plain(503)],
    ],
)
def test_trouble_while_a_token_is_renewed_is_no_logout(world: World, service: Fake, clock: ManualClock, answers: list[Answer]) -> None:
    clock.time += TTL
    service.plan(REFRESH, *answers)
    assert hello(world) == 2
    assert (service.refreshes, world.ends) == (len(answers) + 1, [])


@pytest.mark.parametrize(
    ("answer", "code", "refreshes"),
    [
        (nobody, "unreachable", 5),
        (problem(503, "dependency_unavailable", Retry_After="31"), "dependency_unavailable", 1),
        (plain(401), "unexpected_answer", 1),
        (plain(200), "unreachable", 5),
    ],
)
def test_trouble_that_lasts_fails_calls_and_no_session(
    world: World, service: Fake, clock: ManualClock, answer: Answer, code: str, refreshes: int
) -> None:
    clock.time += TTL
    service.plan(REFRESH, *[answer] * refreshes)
    with pytest.raises(HallpassError) as error:
        hello(world)
    assert (error.value.code, service.refreshes, world.ends) == (code, refreshes, [])
    assert hello(world) == 2


def test_an_answer_that_is_read_hours_later_is_not_taken_for_fresh(world: World, service: Fake, clock: ManualClock) -> None:
    def while_it_slept(request: httpx.Request, fake: Fake) -> httpx.Response:
        answer = fake.answer(request)
        clock.time += 8 * 3600
        return answer

    clock.time += TTL
    service.plan(REFRESH, while_it_slept)
    assert hello(world) == 2
    assert (service.refreshes, len(service.to("/hello")), world.ends) == (2, 1, [])


def test_all_who_wait_for_a_renewal_share_its_failure(world: World, service: Fake, clock: ManualClock) -> None:
    clock.time += TTL
    is_threads = isinstance(world.session, Session)

    def once_all_are_here(request: httpx.Request, fake: Fake) -> httpx.Response:
        end = time.monotonic() + 30
        while is_threads and len(clock.callers) < 10 and time.monotonic() < end:
            time.sleep(0.001)
        return nobody(request, fake)

    clock.callers.clear()
    service.plan(REFRESH, once_all_are_here, *[nobody] * 1000)
    assert world.many(10, HELLO) == ["unreachable"] * 10
    assert service.refreshes < 5 * 10, "not each of them asks on its own"


def test_waits_are_never_shorter_than_the_service_wants_grow_and_differ(world: World, service: Fake, clock: ManualClock) -> None:
    cases: list[tuple[float, str | None, list[float]]] = [
        (0.0, None, [0.5, 1, 2, 4]),
        (0.5, None, [0.75, 1.5, 2.5, 4.5]),
        (0.0, "3", [3, 3, 3, 4]),
        (0.5, "3", [3.5, 3.5, 3.5, 4.5]),
        (0.0, "Fri, 01 Jan 2100 00:00:05 GMT", [5]),
    ]
    for chance, said, waits in cases:
        clock.chance, clock.slept = chance, []
        clock.time = 4_102_444_800.0 if said and "GMT" in said else clock.time + TTL
        service.plan(REFRESH, *[problem(503, "overloaded", **({"Retry_After": said} if said else {}))] * len(waits))
        assert hello(world) == 2
        assert clock.slept == waits


@pytest.mark.parametrize(("status", "code"), [(503, "dependency_unavailable"), (429, "rate_limited")])
def test_a_busy_api_is_left_alone_for_as_long_as_it_says(world: World, service: Fake, clock: ManualClock, status: int, code: str) -> None:
    service.plan(API, problem(status, code, Retry_After="7"))
    assert world.send("POST", HELLO, content=b"x").status_code == 200
    assert (clock.slept, service.refreshes, service.asked[-1].body) == ([7], 0, b"x")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", plain(503)),
        ("GET", problem(503, "overloaded", Retry_After="31")),
        ("GET", problem(503, "revocation_pending", Retry_After="1")),
        ("POST", plain(503, Retry_After="1")),
    ],
)
def test_a_wait_that_is_not_wanted_or_would_do_something_twice_is_the_apps(
    world: World, service: Fake, clock: ManualClock, method: str, answer: Answer
) -> None:
    service.plan(API, answer)
    assert world.send(method, HELLO).status_code == 503
    assert (len(service.to("/hello")), clock.slept) == (1, [])


def test_an_api_that_stays_busy_is_asked_five_times(world: World, service: Fake) -> None:
    service.plan(API, *[problem(503, "overloaded", Retry_After="1")] * 9)
    assert world.send("GET", HELLO).status_code == 503
    assert len(service.to("/hello")) == 5


@pytest.mark.parametrize("code", ["invalid_refresh_token", "refresh_token_reused", "session_expired", "session_evicted", "of_a_later_version"])
def test_the_end_of_a_session_has_a_reason(opened: Opener, service: Fake, tmp_path: Path, code: str) -> None:
    store = FileStore(tmp_path / "session")
    world = opened(store)
    world.login(*ADA)
    service.end_all(code)
    assert world.send("GET", HELLO).status_code == 401
    assert (world.ends, world.session.ended, world.session.user) == ([code], code, None)
    assert "secret" not in (store.load() or "")
    after = opened(store)
    assert after.session.ended == code, "after a restart as well"
    after.login(*ADA)
    assert after.session.ended is None


def test_a_logout_comes_at_once_even_if_hallpass_cannot_be_told(opened: Opener, service: Fake) -> None:
    store = MemoryStore()
    world = opened(store)
    world.login(*ADA)
    service.plan(f"{HALLPASS}/auth/logout", *[nobody] * 5)
    with pytest.raises(HallpassError) as error:
        world.logout(True)
    assert error.value.code == "unreachable"
    assert service.asked[-1].url.endswith("scope=global")
    assert (world.ends, "secret" in (store.load() or "")) == (["logged_out"], False)


@pytest.mark.parametrize("answer", [problem(401, "token_revoked"), problem(503, "revocation_pending"), problem(401, "session_expired")])
def test_an_end_that_has_come_already_is_no_error_of_a_logout(world: World, service: Fake, answer: Answer) -> None:
    service.plan(f"{HALLPASS}/auth/logout", answer)
    world.logout()
    assert len(service.to("/auth/logout")) == 1


def test_a_logout_is_not_undone_by_a_renewal_that_was_under_way(opened: Opener, service: Fake, clock: ManualClock) -> None:
    store = MemoryStore()
    world, other = opened(store), opened(store)
    world.login(*ADA)

    def meanwhile(request: httpx.Request, fake: Fake) -> httpx.Response:
        answer = fake.answer(request)
        store.save('{"url": "%s", "ended": "logged_out"}' % HALLPASS)
        return answer

    clock.time += TTL
    service.plan(REFRESH, meanwhile)
    assert world.send("GET", HELLO).status_code == 401
    assert (world.session.user, world.session.ended, other.session.user) == (None, "logged_out", None)


def test_nothing_is_sent_in_anothers_name(opened: Opener, service: Fake) -> None:
    store = MemoryStore()
    world, other = opened(store), opened(store)
    world.login(*ADA)
    # What another program with the same store has done meanwhile.
    grace = store.load()
    assert grace
    grace = grace.replace('"id": 2', '"id": 3').replace("access.secret.1.1", "access.secret.grace")

    def meanwhile(request: httpx.Request, fake: Fake) -> httpx.Response:
        store.save(grace)
        return problem(401, "token_expired")(request, fake)

    service.plan(API, meanwhile)
    assert world.send("POST", HELLO, content=b"Ada's").status_code == 401
    assert [asked.authorization for asked in service.to("/hello")] == ["Bearer access.secret.1.1"]
    assert other.ends == []


def test_the_token_goes_to_the_origins_that_were_named_and_to_no_other(world: World, service: Fake) -> None:
    for url in (f"{API}.example.net/", f"{API}:8443/", API.replace("https", "http"), "https://example.com/"):
        service.plan(url, plain(401))
        world.send("GET", url)
        assert service.asked[-1].authorization is None, url
    for url in (f"{API}:443/hello", f"{API}/a", f"{HALLPASS}/auth/register"):
        world.send("POST", url, json={})
        assert service.asked[-1].authorization == "Bearer access.secret.1.1"
    service.plan(API, plain(302, Location="https://example.com/there"))
    service.plan("https://example.com", plain(200))
    world.send("GET", HELLO)
    assert (service.asked[-1].url, service.asked[-1].authorization) == ("https://example.com/there", None)
    world.send("GET", HELLO, headers={"Authorization": "Basic eA=="})
    assert service.asked[-1].authorization == "Basic eA=="


@pytest.mark.parametrize("origin", [f"{API}/", f"{API}/books", "api.example.com", "*", "null", "", "capacitor://localhost", "https://a@b", "https://"])
def test_origins_are_checked(opened: Opener, origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        opened(origins=(origin,))


def test_a_file_brings_a_session_back_and_is_its_owners_alone(opened: Opener, service: Fake, tmp_path: Path) -> None:
    path = tmp_path / "session"
    world = opened(FileStore(path))
    world.login(*ADA)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = len(service.asked)
    again = opened(FileStore(path))
    assert (again.session.user["email"], len(service.asked)) == (ADA[0], before)
    assert hello(again) == 2
    # Both have the same session.
    service.expire_all()
    assert (hello(world), hello(again), service.refreshes) == (2, 2, 1)
    again.logout()
    assert world.send("GET", HELLO).status_code == 401
    assert (world.ends, again.ends) == (["logged_out"], ["logged_out"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["session", "session.refresh.lock", "session.store.lock"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"url": "https://auth.example.com"}', '{"url": "https://auth.example.com", "user": 1}'])
def test_a_store_with_something_else_is_an_empty_one(opened: Opener, text: str) -> None:
    store = MemoryStore()
    store.save(text)
    assert opened(store).session.user is None


def test_a_store_that_cannot_be_written_takes_nobodys_session(
    opened: Opener, service: Fake, clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(FileStore):
        def save(self, text: str) -> None:
            raise OSError(28, "no space left")

    world = opened(Full(tmp_path / "session"))
    world.login(*ADA)
    for generation in (2, 3):
        clock.time += TTL
        assert hello(world) == 2
        assert service.asked[-1].authorization == f"Bearer access.secret.1.{generation}"
    assert "cannot be written" in caplog.text and "secret" not in caplog.text


def test_another_hallpass_is_sent_nothing_of_this_one(opened: Opener, clock: ManualClock) -> None:
    store = MemoryStore()
    opened(store).login(*ADA)
    assert Session("https://auth.example.net", store=store, clock=clock).user is None


def test_whoever_stopped_listening_hears_nothing(world: World) -> None:
    heard: list[str] = []
    stop = world.session.on_ended(heard.append)
    stop()
    stop()
    world.logout()
    assert (heard, world.ends) == ([], ["logged_out"])


def test_the_wrong_kind_of_client_is_told() -> None:
    with httpx.Client(auth=AsyncSession(HALLPASS)) as client, pytest.raises(RuntimeError, match="takes a Session"):
        client.get(API)
