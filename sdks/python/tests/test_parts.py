from __future__ import annotations

import json
from typing import Any

import pytest
from issuer import ID

from hallpass_verify._backoff import Backoff
from hallpass_verify._base64url import decode
from hallpass_verify._claims import Claims
from hallpass_verify._clock import ClockWasSet, IssuerClock
from hallpass_verify._json import read, read_object
from hallpass_verify._key_keeper import TokenCache, max_age
from hallpass_verify._listener import read_snapshot
from hallpass_verify._revocation import Denylist, Revocation, partition_of, read_revocation
from hallpass_verify._sse import Event, SseParser

AHEAD = 2_000_000_000_000
CLAIMS = Claims("i", ["a"], "42", 9, 1, None, "1", "2", 3, 7, "orders", ["gateway"], [], None)


def test_whole_numbers_are_read_as_they_are_written() -> None:
    assert read("18446744073709551615") == 2**64 - 1
    for text in ("3.0", "3e0", "-0", "1.5", "9" * 5000):
        assert type(read(text)) is float, text


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", '{"a":1,}', "01", "tru", '"\n"', "1 2", "{}{}", "\ufeff{}", "NaN", "Infinity", "[" * 5000]
)
def test_what_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_a_member_that_is_read_and_is_there_twice_is_an_error() -> None:
    with pytest.raises(ValueError):
        read_object('{"a":1,"\\u0061":2}').members({"a"})
    assert read_object('{"b":1,"b":2,"a":3}').members({"a"}) == {"a": 3}
    with pytest.raises(ValueError):
        read_object('{"a":"\\ud800"}').members({"a"}).text("a")


def test_bytes_have_one_spelling() -> None:
    assert decode("_-8") == b"\xff\xef"
    for text in ("_-9", "_-8=", "_-+", "A", "_-8 ", "AA\n", "\u00e4\u00e4"):
        with pytest.raises(ValueError):
            decode(text)


def test_an_entry_that_is_not_understood_is_an_error() -> None:
    def entry(value: Any) -> Revocation:
        return read_revocation(read_object(json.dumps(value)))

    uuid = f"{ID}1"
    for right in (
        {"jti": uuid, "exp": 9}, {"sid": uuid, "exp": 9, "reason": "logout"}, {"sub": "42", "sv": 5, "exp": 9},
        {"kid": "k", "exp": 9}, {"all": True, "inc": 5, "exp": 9}, {"all": True, "inc": 0, "partition": 64, "exp": 9},
    ):  # fmt: skip
        entry(right)
    for wrong in (
        {}, {"exp": 9}, {"jti": uuid}, {"jti": uuid, "exp": "9"}, {"jti": "1", "exp": 9}, {"jti": uuid, "sid": uuid, "exp": 9},
        {"jti": uuid, "sv": 5, "exp": 9}, {"sub": 42, "sv": 5, "exp": 9}, {"sub": "42", "exp": 9}, {"sub": "42", "sv": 5.5, "exp": 9},
        {"all": False, "inc": 5, "exp": 9}, {"all": True, "exp": 9}, {"all": True, "inc": -1, "exp": 9}, {"sub": "42", "sv": True, "exp": 9},
        {"all": True, "inc": 5, "partition": 65, "exp": 9}, {"colour": "red", "exp": 9}, "jti", [],
    ):  # fmt: skip
        with pytest.raises(ValueError):
            entry(wrong)


def test_a_person_belongs_to_the_remainder_of_the_number() -> None:
    for sub, part in [
        ("0", 0), ("42", 42), ("64", 0), ("18446744073709551615", 63), ("18446744073709551616", 64),
        ("orders", 64), ("042", 64), ("+42", 64), ("", 64), ("\u0664\u0662", 64),
    ]:  # fmt: skip
        assert partition_of(sub) == part, sub


@pytest.mark.parametrize(
    ("kind", "key", "below"),
    [
        ("jti", "1", 0),
        ("sid", "2", 0),
        ("kid", "k", 0),
        ("sub", "42", 4),
        ("sub", "orders", 1),
        ("sub", "gateway", 1),
        ("all", -1, 8),
        ("all", 42, 8),
    ],
)
def test_an_entry_is_kept_to_its_end(kind: str, key: str | int, below: int) -> None:
    denylist = Denylist()
    for exp in (5, 9, 5):
        denylist.insert(Revocation(kind, key, below, exp))
    denylist.prune(8)
    assert denylist.is_revoked(CLAIMS, "k")
    denylist.prune(9)
    assert len(denylist) == 0


def test_of_two_cut_offs_the_greater_one_holds() -> None:
    denylist = Denylist()
    for below in (1, 9, 2):
        denylist.insert(Revocation("sub", "42", below, 9))
    assert denylist.is_revoked(CLAIMS, "k")


def test_a_list_is_read_whole_or_not_at_all() -> None:
    right = f'{{"cursor":"c","server_time":7,"server_time_ms":6900,"entries":[{{"jti":"{ID}1","exp":9}},{{"kid":"k","exp":9}}]}}'
    snapshot = read_snapshot(right)
    assert (snapshot.cursor, len(snapshot.entries), snapshot.server_time, snapshot.server_time_ms) == ("c", 2, 7, 6900)
    for old, new in [
        ('"kid"', '"colour"'),
        ('"cursor"', '"at"'),
        ('"entries"', '"all"'),
        ('"exp":9}]', '"exp":"9"}]'),
        ('"server_time_ms"', '"ms"'),
        ('"c"', '"c","cursor":"d"'),
        ('"c"', '"c\\n"'),
    ]:
        with pytest.raises(ValueError):
            read_snapshot(right.replace(old, new))


STREAM = ':ok\n\nevent: revocation\nid: c1\ndata: {"a":\ndata: "\u00e9"}\n\nevent:heartbeat\nid:c2\ndata:{}\n\n'
EVENTS = [Event("revocation", "c1", '{"a":\n"\u00e9"}'), Event("heartbeat", "c2", "{}")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_stream_reads_the_same_wherever_it_is_cut(end: str) -> None:
    stream = STREAM.replace("\n", end).encode()
    for cut in range(len(stream) + 1):
        parser, events = SseParser(), list[Event]()
        for piece in (stream[:cut], b"", stream[cut:]):
            parser.read(piece, events)
        assert events == EVENTS, cut
    parser, events = SseParser(), []
    for byte in stream:
        parser.read(bytes([byte]), events)
    assert events == EVENTS


def test_an_event_without_an_end_is_an_error() -> None:
    parser = SseParser()
    parser.read(b"x" * 64 * 1024, [])
    with pytest.raises(ValueError):
        parser.read(b"x", [])
    patient = SseParser()
    for _ in range(10_000):
        patient.read(b": still here\n", [])
    with pytest.raises(ValueError):
        SseParser().read(b"data: \xff\n", [])


def measured() -> IssuerClock:
    clock = IssuerClock.of_answer(1000, 4000, {"hallpass-clock": str(AHEAD + 1000)})
    assert clock is not None
    return clock


def test_a_statement_is_as_old_as_it_is_late() -> None:
    assert measured().moment_of(AHEAD + 20_000, 35_000) == 19_999
    assert measured().moment_in_answer(AHEAD + 1000) == 999
    assert measured().moment_in_answer(AHEAD + 1001) is None
    with pytest.raises(ClockWasSet):
        measured().moment_of(AHEAD + 20_000, 19_700)
    clock = measured()
    clock.moment_of(AHEAD + 20_000, 35_000)
    with pytest.raises(ClockWasSet):
        clock.moment_of(AHEAD + 36_000, 37_000)
    assert measured().moment_of(AHEAD + 23_000, 22_900) == 22_900, "clocks drift"
    assert (measured().is_over(300_999), measured().is_over(301_000)) == (False, True)
    assert (measured().may_be_wrong(13_999), measured().may_be_wrong(14_000)) == (False, True)
    for text in ("", "soon", "1.5", "1e3", "\u0664"):
        assert IssuerClock.of_answer(0, 0, {"hallpass-clock": text}) is None


def test_the_age_that_the_issuer_allows_its_keys_is_read_within_bounds() -> None:
    for written, seconds in [
        ("max-age=60", 60), ("public, max-age=60, must-revalidate", 60), ('Max-Age="60"', 60), ("s-maxage=5, max-age=60", 60),
        ("max-age=0", 1), ("max-age=99999999", 86_400), ("max-age=-1", 300), ("no-store", 300), ("", 300),
    ]:  # fmt: skip
        assert max_age({"cache-control": written}) == seconds, written


def test_pauses_double_to_a_bound() -> None:
    backoff = Backoff()
    for full in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5):
        assert full / 2 <= backoff.next() <= full
    assert (backoff.next(7), backoff.next(86_400)) == (7, 30)
    backoff.reset()
    assert backoff.next() <= 0.1


def test_the_cache_holds_no_more_than_about_its_capacity() -> None:
    cache, known = TokenCache(100), object()
    cache.insert("used", known)  # type: ignore[arg-type]
    for number in range(1000):
        cache.insert(f"t{number}", known)  # type: ignore[arg-type]
        assert cache.find("used") is known
    assert len(cache) <= 101
    none = TokenCache(0)
    none.insert("one", known)  # type: ignore[arg-type]
    assert len(none) == 0
