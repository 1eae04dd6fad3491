"""Lets Schemathesis ask a running service whether it does what its OpenAPI documents say.

    conformance.py URL

The service is one of `hallpass dev`, whose administrator and client everybody knows.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENTS = sorted((HERE.parent.parent / "openapi").glob("*.json"))
MAIN = next(document for document in DOCUMENTS if document.name == "hallpass.json")

ADMIN = {"email": "johndoe@example.com", "password": "password"}
CLIENT = {"client_id": "books", "client_secret": "books-dev-secret"}


def post(url: str, body: dict[str, str]) -> dict[str, object]:
    """Sends JSON and answers the answer."""
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def conforms(service: str, document: Path, token: str, *arguments: str) -> bool:
    """Runs Schemathesis as whoever the token belongs to."""
    print(f"-- {document.name} {' '.join(arguments)}", flush=True)
    environment = os.environ | {
        "ACCESS_TOKEN": token,
        "CLIENT_ID": CLIENT["client_id"],
        "CLIENT_SECRET": CLIENT["client_secret"],
        # Otherwise it is a folder in the repository.
        "HYPOTHESIS_STORAGE_DIRECTORY": str(HERE.parent.parent / "target" / "hypothesis"),
    }
    program = Path(sys.executable).with_name("schemathesis")
    config = HERE / "schemathesis.toml"
    run = [program, "--config-file", config, "run", document, "--url", service, *arguments]
    return subprocess.run(run, env=environment, check=False).returncode == 0


def main(service: str) -> int:
    admin = str(post(f"{service}/auth/login", ADMIN)["accessToken"])
    grant = CLIENT | {"grant_type": "client_credentials"}
    client = str(post(f"{service}/oauth2/token", grant)["access_token"])
    verdicts = [conforms(service, document, admin) for document in DOCUMENTS]
    # For clients alone.
    verdicts.append(conforms(service, MAIN, client, "--include-operation-id", "listRevocations"))
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
