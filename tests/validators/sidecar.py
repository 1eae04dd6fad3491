"""The probe (verify/vectors/README.md) of `hallpass sidecar`: sidecar.py HALLPASS [live ISSUER AUDIENCE CLIENT_ID]

It starts the sidecar and asks it at /forward-auth. What goes by another clock than the machine's it skips, and so all that is
in the files.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time


def skip() -> None:
    for _ in sys.stdin:
        print('{"verdict":"skipped"}', flush=True)


def verdict(connection: http.client.HTTPConnection, token: str) -> dict:
    connection.request("GET", "/forward-auth", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status == 200:
        return {"verdict": "ok"}
    return {"verdict": "refused", "code": json.loads(body)["code"], "status": answer.status}


def is_ready(connection: http.client.HTTPConnection) -> bool:
    connection.request("GET", "/health/ready")
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


def live(program: str, issuer: str, audience: str, client: str) -> None:
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(os.environ["HALLPASS_CLIENT_SECRET"])
        secret.flush()
        arguments = ["--issuer", issuer, "--audience", audience, "--client-id", client]
        arguments += ["--client-secret-file", secret.name, "--listen", "127.0.0.1:0"]
        sidecar = subprocess.Popen([program, "sidecar", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            port = int(sidecar.stdout.readline().decode().rsplit(":", 1)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port)
            while not is_ready(connection):
                time.sleep(0.01)
            print("ready", flush=True)
            for line in sys.stdin:
                print(json.dumps(verdict(connection, line.rstrip("\n"))), flush=True)
        finally:
            sidecar.terminate()
            sidecar.wait()


def main() -> None:
    match sys.argv[1:]:
        case [_]:
            skip()
        case [program, "live", issuer, audience, client]:
            live(program, issuer, audience, client)
        case _:
            sys.exit(__doc__)


main()
