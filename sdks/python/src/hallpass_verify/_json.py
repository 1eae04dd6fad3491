"""JSON (RFC 8259) read more strictly than `json` does by itself.

A member that is there twice is an error: two readers of one token must not see two things (RFC 7519 4).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

I64 = range(-(2**63), 2**63)
U64 = range(2**64)


class JsonError(ValueError):
    """The text is not JSON, or not of the shape that was asked for."""


class Object(list[tuple[str, Any]]):
    """The members of an object, as they came."""

    def members(self, names: Collection[str]) -> Members:
        """Those of these names; others are passed over."""
        members: dict[str, Any] = {}
        for name, value in self:
            _whole(name)
            if name not in names:
                continue
            if name in members:
                raise JsonError("a member is there twice")
            members[name] = value
        return Members(members)


class Members(dict[str, Any]):
    """Members by the one type that each may have. What is missing is None; `null` is not missing."""

    def without_null(self, *kept: str) -> Members:
        """The same where `null` is as good as silence, but for those that are kept."""
        return Members({name: value for name, value in self.items() if name in kept or value is not None})

    def text(self, name: str) -> str | None:
        return self._typed(name, str)

    def flag(self, name: str) -> bool | None:
        return self._typed(name, bool)

    def whole_number(self, name: str, within: range) -> int | None:
        number = self._typed(name, int)
        if number is not None and number not in within:
            raise JsonError("a number that is too large")
        return number

    def texts(self, name: str) -> list[str] | None:
        texts = self._typed(name, list)
        if texts is None:
            return None
        if not all(type(text) is str for text in texts):
            raise JsonError("a member has another type")
        return [_whole(text) for text in texts]

    def object(self, name: str) -> Object | None:
        return self._typed(name, Object)

    def text_or_texts(self, name: str) -> list[str] | None:
        text = self.text(name) if type(self.get(name)) is str else None
        return self.texts(name) if text is None else [text]

    def _typed(self, name: str, kind: type[T]) -> T | None:
        if name not in self:
            return None
        value = self[name]
        if type(value) is not kind:
            raise JsonError("a member has another type")
        if isinstance(value, str):
            _whole(value)
        return value


def required(value: T | None) -> T:
    """What has to be there."""
    if value is None:
        raise JsonError("a member is missing")
    return value


def read(text: str) -> Any:
    """A value: objects are `Object`, whole numbers int, all others float."""
    try:
        return json.loads(text, object_pairs_hook=Object, parse_int=_whole_number, parse_constant=_no_constant)
    except RecursionError:
        raise JsonError("too deep") from None


def read_object(text: str) -> Object:
    """A value that is an object."""
    value = read(text)
    if type(value) is not Object:
        raise JsonError("not an object")
    return value


def _whole_number(text: str) -> int | float:
    # What is longer fits no number of 64 bits.
    return float("nan") if text == "-0" or len(text) > 20 else int(text)


def _no_constant(_: str) -> NoReturn:
    raise JsonError("not a number")


def _whole(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise JsonError("half a character")
    return text
