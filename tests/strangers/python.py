"""Libraries for Python, and HAProxy, as their quickstarts have them and as they are to be set.

`{service, tokens}` by the algorithm that the service signs with on stdin, as JSON; on stdout a line for each: which tokens it lets in.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jwt
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

FOLDER = Path(__file__).parent


def jwks_of(issuer: str) -> Any:
    with urllib.request.urlopen(f"{issuer}/.well-known/jwks.json") as answer:
        return json.load(answer)


@contextmanager
def pyjwt(issuer: str, is_set: bool) -> Iterator[Callable[[str], Any]]:
    """By its documentation, "Retrieve RSA signing keys from a JWKS endpoint"; set as docs/validate.md has it."""
    keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")

    def accept(token: str) -> None:
        key = keys.get_signing_key_from_jwt(token)
        algorithms = ["ES256"] if is_set else ["RS256"]
        more = {"issuer": issuer, "leeway": 5} if is_set else {}
        decoded = jwt.decode_complete(token, key, algorithms=algorithms, audience=issuer, **more)
        if is_set and decoded["header"]["typ"] != "at+jwt":
            raise ValueError("no access token")

    yield accept


@contextmanager
def authlib(issuer: str, is_set: bool) -> Iterator[Callable[[str], Any]]:
    class Validator(JWTBearerTokenValidator):
        def get_jwks(self) -> Any:
            return KeySet.import_key_set(jwks_of(issuer))

    validator = Validator(issuer=issuer, resource_server=issuer)

    def accept(token: str) -> None:
        validator.validate_token(validator.authenticate_token(token), [], None)

    yield accept


@contextmanager
def joserfc(issuer: str, is_set: bool) -> Iterator[Callable[[str], Any]]:
    keys = KeySet.import_key_set(jwks_of(issuer))
    names = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": issuer}}
    registry = joserfc_jwt.JWTClaimsRegistry(**(names if is_set else {}))

    def accept(token: str) -> None:
        decoded = joserfc_jwt.decode(token, keys, algorithms=["ES256"] if is_set else None)
        registry.validate(decoded.claims)
        if is_set and decoded.header["typ"] != "at+jwt":
            raise ValueError("no access token")

    yield accept


@contextmanager
def haproxy(issuer: str, is_set: bool) -> Iterator[Callable[[str], Any]]:
    [key] = [jwt.PyJWK(jwk).key for jwk in jwks_of(issuer)["keys"] if jwk["alg"] == "ES256"][:1]
    configuration = (FOLDER / "haproxy.cfg").read_text()
    if not is_set:
        # Its own introduction checks RS256.
        configuration = configuration.replace("str ES256", "str RS256")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        public_key, file = Path(folder) / "key.pem", Path(folder) / "haproxy.cfg"
        public_key.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        file.write_text(configuration)
        names = {"PUBLIC_KEY": str(public_key), "ISSUER": issuer, "AUDIENCE": issuer}
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        descriptor = listener.fileno()
        with subprocess.Popen(
            [program, "-db", "-q", "-f", str(file)],
            env={"PATH": os.environ["PATH"], "LISTENER": str(descriptor), **names},
            pass_fds=[descriptor],
        ) as process:
            try:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
                wait_for(url)

                def accept(token: str) -> None:
                    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
                    urllib.request.urlopen(request, timeout=5).close()

                yield accept
            finally:
                process.terminate()


def wait_for(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


LIBRARIES = {"PyJWT": pyjwt, "authlib": authlib, "joserfc": joserfc, "HAProxy's jwt_verify": haproxy}


def let_in(make: Any, is_set: bool, issuer: str, tokens: dict[str, str]) -> list[str]:
    """The names of the tokens that are let in."""
    names = []
    with make(issuer, is_set) as accept:
        for name, token in tokens.items():
            with contextlib.suppress(Exception):
                accept(token)
                names.append(name)
    return names


def version_of(name: str) -> str:
    if not name.startswith("HAProxy"):
        return version(name)
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    shown = subprocess.run([program, "-v"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return ".".join(shown.split()[2].split("-")[0].split(".")[:2])


def main() -> None:
    at = json.load(sys.stdin)["ES256"]
    for name, make in LIBRARIES.items():
        results = [let_in(make, is_set, at["service"], at["tokens"]) for is_set in (False, True)]
        line = {"name": name, "version": version_of(name), "quickstart": results[0], "set": results[1]}
        print(json.dumps(line))


main()
