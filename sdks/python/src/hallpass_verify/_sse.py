"""Server-sent events (WHATWG HTML 9.2), as far as a feed needs them."""

from __future__ import annotations

from dataclasses import dataclass

_EVENT_MAX_BYTES = 64 * 1024
"""The most bytes that one event may take: the issuer's take a hundred."""


@dataclass(slots=True)
class Event:
    """One event of a stream."""

    name: str = ""
    id: str | None = None
    data: str = ""


class SseParser:
    """Takes bytes as they come and gives events as they end."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._bytes = 0
        self._after_cr = False
        self._event = Event()
        self._begun = False
        self._has_data = False

    def read(self, piece: bytes, events: list[Event]) -> None:
        """Puts the events that end in these bytes behind `events`.

        Raises ValueError; the parser is of no use afterwards.
        """
        if self._after_cr and piece.startswith(b"\n"):
            # It belongs to the CR before it.
            piece = piece[1:]
            self._after_cr = False
        if not piece:
            return
        self._after_cr = piece.endswith(b"\r")
        *lines, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._keep(line)
            self._end_line(events)
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        self._bytes += len(part)
        if self._bytes > _EVENT_MAX_BYTES:
            raise ValueError(f"an event is over {_EVENT_MAX_BYTES} bytes")
        self._line += part

    def _end_line(self, events: list[Event]) -> None:
        line = self._line.decode()
        length = len(self._line)
        self._line.clear()
        if not line:
            self._end_event(events)
        elif line.startswith(":"):
            # A comment; some servers send them to keep a connection open. The limit is the event's.
            self._bytes -= length
        else:
            field, _, value = line.partition(":")
            self._take(field, value.removeprefix(" "))

    def _take(self, field: str, value: str) -> None:
        if field == "event":
            self._event.name = value
        elif field == "data":
            self._event.data += f"\n{value}" if self._has_data else value
            self._has_data = True
        elif field == "id" and "\0" not in value:
            self._event.id = value
        else:
            return
        self._begun = True

    def _end_event(self, events: list[Event]) -> None:
        if self._begun:
            events.append(self._event)
        self._event = Event()
        self._begun = self._has_data = False
        self._bytes = 0
