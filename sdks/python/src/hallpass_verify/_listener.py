"""What is known of the issuer's revocations, and what the feed adds to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ._clock import Clock, IssuerClock, whole_number
from ._json import I64, Object, read_object, required
from ._revocation import Denylist, read_revocation
from ._sse import Event, SseParser
from .errors import IssuerError

T = TypeVar("T")

_PRUNE_EVERY_MS = 30 * 1000
_COMPLETE_UNTIL = "hallpass-complete-until"
"""Up to when nothing is missing, in an answer that has no body to say it."""
_LIST = frozenset(("cursor", "entries", "server_time", "server_time_ms"))
_HEARTBEAT = frozenset(("server_time", "server_time_ms"))
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Interruption(Exception):
    """Why the feed is not followed for a moment."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """`reset`, `not understood`, `moved`, `closed` or `late`."""


class Feed:
    """What is known of the issuer's revocations, and how long ago it was complete. Any thread may read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._complete_at: int | None = None
        self.denylist = Denylist()

    def now(self) -> int:
        """Whole milliseconds of the clock that ages are counted by."""
        return self._clock.millis()

    def age(self) -> float:
        """How old the knowledge is, milliseconds; infinite when there never was any.

        Ask this before the list: a list that was looked at first could be an older one.
        """
        complete_at = self._complete_at
        return float("inf") if complete_at is None else max(self.now() - complete_at, 0)

    def completed(self, at: int) -> None:
        """Everything up to that moment is in the list."""
        self._complete_at = at if self._complete_at is None else max(self._complete_at, at)


@dataclass(slots=True)
class Stream:
    """A stream that is being read."""

    clock: IssuerClock
    parser: SseParser = field(default_factory=SseParser)
    was_told: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All revocations that matter, and where in the feed to go on."""

    cursor: str
    entries: Denylist
    server_time: int
    server_time_ms: int


def read_snapshot(body: str) -> Snapshot:
    """Reads a list of revocations. Raises ValueError where it is none, or an entry is not understood."""
    members = read_object(body).members(_LIST)
    entries = members.get("entries")
    if type(entries) is not list or not all(isinstance(entry, Object) for entry in entries):
        raise ValueError("not a list of revocations")
    denylist = Denylist()
    for entry in entries:
        denylist.insert(read_revocation(entry))
    return Snapshot(
        cursor=_header_value(required(members.text("cursor"))),
        entries=denylist,
        server_time=required(members.whole_number("server_time", I64)),
        server_time_ms=required(members.whole_number("server_time_ms", I64)),
    )


class Listener:
    """Takes in what the feed says. `leeway` in seconds, `max_staleness_ms` in milliseconds."""

    def __init__(
        self,
        feed: Feed,
        on_key_revoked: Callable[[], None],
        clock: Clock,
        leeway: int,
        max_staleness_ms: float,
        has_stream: bool,
    ) -> None:
        self.cursor: str | None = None
        """Behind the last entry that was taken in; None when a list is needed."""
        self._feed = feed
        self._on_key_revoked = on_key_revoked
        self._clock = clock
        self._leeway = leeway
        self._max_staleness_ms = max_staleness_ms
        self._has_stream = has_stream
        self._etag: str | None = None
        self._server_time = 0
        self._pruned_at: int | None = None

    @property
    def condition(self) -> dict[str, str]:
        """What to ask the list with, where nothing but lists is taken in."""
        return {} if self._etag is None else {"if-none-match": self._etag}

    def clock_of(self, asked_at: int, headers: Mapping[str, str]) -> IssuerClock:
        """What an answer says of the issuer's clock. Raises IssuerError where it says nothing."""
        clock = IssuerClock.of_answer(asked_at, self._feed.now(), headers)
        if clock is None:
            raise _no_clock()
        return clock

    def opened(self, asked_at: int, headers: Mapping[str, str]) -> Stream:
        """The head of a stream, which was asked for at `asked_at`."""
        return Stream(self.clock_of(asked_at, headers))

    def is_unchanged(self, status: int) -> bool:
        """Whether an answer says that the list is the one that is known."""
        return status == 304 and not self._has_stream and self.cursor is not None

    def unchanged(self, clock: IssuerClock, headers: Mapping[str, str]) -> None:
        """Takes in that the list is the one that is known."""
        until = whole_number(headers.get(_COMPLETE_UNTIL))
        if until is None:
            raise _no_clock()
        self._complete(clock, until)

    def list(self, clock: IssuerClock, headers: Mapping[str, str], snapshot: Snapshot) -> None:
        """Puts a list in the place of the one that is known."""
        self._feed.denylist = snapshot.entries
        self._complete(clock, snapshot.server_time_ms)
        self.cursor = snapshot.cursor
        self._server_time = snapshot.server_time
        self._etag = None if self._has_stream else headers.get("etag")

    def _complete(self, clock: IssuerClock, stated: int) -> None:
        """An answer that names a moment after itself says nothing of how old it is."""
        moment = clock.moment_in_answer(stated)
        if moment is not None:
            self._feed.completed(moment)

    def read(self, stream: Stream, piece: bytes) -> tuple[bool, bool]:
        """Takes in bytes of a stream.

        Answers whether an event ended in them, and whether one made the knowledge fresh. Raises Interruption and ClockWasSet.
        """
        events: list[Event] = []
        fault: ValueError | None = None
        try:
            stream.parser.read(piece, events)
        except ValueError as error:
            fault = error
        # What stood before a fault counts.
        is_fresh = any([self._take(stream, event) for event in events])
        if fault is not None:
            raise _not_understood() from fault
        self._prune()
        return bool(events), is_fresh

    def is_over(self, stream: Stream) -> bool:
        """Whether the stream is to be opened anew, since clocks drift."""
        return stream.clock.is_over(self._feed.now())

    def interrupted(self, error: BaseException) -> None:
        """Goes on behind the last event, unless that is of no use."""
        if isinstance(error, Interruption):
            is_lost = error.kind in ("reset", "not understood")
        else:
            is_lost = isinstance(error, IssuerError) and error.status in (400, 404, 409, 410, 416)
        if is_lost:
            self.cursor = None

    def _take(self, stream: Stream, event: Event) -> bool:
        is_fresh = False
        match event.name:
            case "heartbeat":
                stream.was_told = True
                is_fresh = self._heartbeat(event.data, stream.clock)
            case "revocation":
                self._revocation(event.data)
            case "reset":
                raise Interruption("reset", "the issuer wants the list to be fetched again")
            case "reconnect":
                # One that only sends others away is no better than one that ends.
                raise Interruption("moved" if stream.was_told else "closed", "the feed goes on elsewhere")
        if event.id is not None:
            self.cursor = _understood(_header_value, event.id)
        return is_fresh

    def _revocation(self, data: str) -> None:
        revocation = _understood(lambda text: read_revocation(read_object(text)), data)
        self._feed.denylist.insert(revocation)
        if revocation.kind == "kid":
            self._on_key_revoked()

    def _heartbeat(self, data: str, clock: IssuerClock) -> bool:
        """Only a heartbeat says that nothing is missing: what comes first may be the oldest of many that were missed."""
        seconds, millis = _understood(_heartbeat_times, data)
        heard_at = self._feed.now()
        moment = clock.moment_of(millis, heard_at)
        self._server_time = seconds
        self._feed.completed(moment)
        is_fresh = self._feed.age() <= self._max_staleness_ms
        if not is_fresh and clock.may_be_wrong(heard_at):
            raise Interruption("late", "the feed is late")
        return is_fresh

    def _prune(self) -> None:
        """Forgets what is over by this machine's clock and by the issuer's: one that jumps must not bring a token to life."""
        now = self._feed.now()
        if self._pruned_at is not None and now - self._pruned_at < _PRUNE_EVERY_MS:
            return
        self._pruned_at = now
        self._feed.denylist.prune(min(self._clock.seconds(), self._server_time) - self._leeway)


def _heartbeat_times(data: str) -> tuple[int, int]:
    members = read_object(data).members(_HEARTBEAT)
    seconds = required(members.whole_number("server_time", I64))
    return seconds, required(members.whole_number("server_time_ms", I64))


def _understood(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise _not_understood() from error


def _not_understood() -> Interruption:
    return Interruption("not understood", "the feed says something that is not understood")


def _no_clock() -> IssuerError:
    return IssuerError("the issuer's answer does not say what its clock shows")


def _header_value(text: str) -> str:
    if not _HEADER_VALUE.fullmatch(text):
        raise ValueError("a cursor that is none")
    return text
