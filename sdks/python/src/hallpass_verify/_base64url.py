from __future__ import annotations

import base64
import re

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TEXT = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_UNUSED_BITS = {0: 0, 2: 0x0F, 3: 0x03}


def decode(text: str) -> bytes:
    """The bytes of base64url without padding, in its one spelling (RFC 4648 3.5).

    Raises ValueError where it is none.
    """
    unused = _UNUSED_BITS.get(len(text) % 4)
    if unused is None or not _TEXT.fullmatch(text) or (text and _ALPHABET.index(text[-1]) & unused):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
