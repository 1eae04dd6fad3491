"""The public keys of an issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jwt.algorithms import get_default_algorithms

from ._base64url import decode, encode
from ._json import Members, Object, read_object, required

_RSA_MODULUS_BYTES = range(256, 1025)
"""From 2048 bits (RFC 7518 3.3) to 8192."""
_ED25519_BYTES = 32
_P256_BYTES = 32
"""A coordinate."""
_ED25519_SMALL_ORDER = {
    "00" * 32,
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
}
"""Points whose order divides eight, without the sign of x: under them one signature fits many messages."""

_ALGORITHMS = get_default_algorithms()
_TEXTS = ("kid", "alg", "use", "x5u", "x5t", "x5t#S256")
_COMMON = frozenset((*_TEXTS, "key_ops", "x5c"))
_NEEDED = {
    "ES256": ({"kty": "EC", "crv": "P-256"}, ("x", "y")),
    "RS256": ({"kty": "RSA"}, ("n", "e")),
    "EdDSA": ({"kty": "OKP", "crv": "Ed25519"}, ("x",)),
}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm that it is for: a token's header never chooses (RFC 8725 3.1)."""

    algorithm: str
    key: Any
    """None where the bytes are no point of the curve: such a key has signed nothing."""

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the key made the signature."""
        return self.key is not None and _ALGORITHMS[self.algorithm].verify(message, self.key, signature)


class KeySet:
    """Keys by `kid`."""

    def __init__(self, keys: Mapping[str, VerificationKey]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, text: str) -> KeySet:
        """Reads a JWK Set (RFC 7517 5). Entries that cannot verify a hallpass token are passed over.

        Raises ValueError when the text is no JWK Set, or an entry of use is broken.
        """
        entries = read_object(text).members({"keys"}).get("keys")
        if type(entries) is not list:
            raise ValueError("not a JWK Set")
        return cls(dict(found for entry in entries if (found := _usable_key(entry))))

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str) -> VerificationKey | None:
        return self._keys.get(kid)


def _usable_key(entry: object) -> tuple[str, VerificationKey] | None:
    if not isinstance(entry, Object):
        raise ValueError("not a JWK")
    common = entry.members(_COMMON).without_null()
    kid, alg, use, *_ = [common.text(name) for name in _TEXTS]
    operations = common.texts("key_ops")
    common.texts("x5c")
    jwk = entry.members({"kty", "crv", "x", "y", "n", "e"})
    # Both ways to say what a key is for count (RFC 7517 4.2, 4.3).
    checks = use in (None, "sig") and (operations is None or "verify" in operations)
    if kid is None or alg is None or not checks or not _is_of(alg, jwk):
        return None
    return kid, VerificationKey(alg, _key(alg, _parts(kid, alg, jwk)))


def _is_of(alg: str, jwk: Members) -> bool:
    if alg not in _NEEDED:
        return False
    fixed, parts = _NEEDED[alg]
    return all(jwk.get(name) == value for name, value in fixed.items()) and all(
        type(jwk.get(name)) is str for name in parts
    )


def _parts(kid: str, alg: str, jwk: Members) -> dict[str, bytes]:
    """A broken key is to be noticed when it is loaded, and not by every signature being wrong."""
    try:
        parts = {name: decode(required(jwk.text(name))) for name in _NEEDED[alg][1]}
    except ValueError as error:
        raise ValueError(f"the key {kid} cannot be read") from error
    if alg == "RS256":
        # Some write numbers with a zero in front, against RFC 7518 2.
        parts = {name: number.lstrip(b"\0") for name, number in parts.items()}
    if not _is_well_formed(alg, parts):
        raise ValueError(f"the key {kid} cannot be read")
    return parts


def _is_well_formed(alg: str, parts: dict[str, bytes]) -> bool:
    if alg == "ES256":
        return all(len(part) == _P256_BYTES for part in parts.values())
    if alg == "EdDSA":
        return len(parts["x"]) == _ED25519_BYTES and not _has_small_order(parts["x"])
    exponent = int.from_bytes(parts["e"], "big")
    # Under the exponent one, every message signs itself (RFC 8017 3.1).
    return len(parts["n"]) in _RSA_MODULUS_BYTES and exponent % 2 == 1 and exponent != 1


def _has_small_order(point: bytes) -> bool:
    return (point[:-1] + bytes([point[-1] & 0x7F])).hex() in _ED25519_SMALL_ORDER


def _key(alg: str, parts: dict[str, bytes]) -> Any:
    jwk = {**_NEEDED[alg][0], **{name: encode(part) for name, part in parts.items()}}
    try:
        return _ALGORITHMS[alg].from_jwk(jwk)
    except Exception:  # Each backend has an error of its own for bytes that are no key.
        return None
