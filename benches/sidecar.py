"""What a sidecar costs: python3 benches/sidecar.py HALLPASS [SIDECARS]

HALLPASS is the program, built with `cargo build --release`. It is run as `hallpass dev` and as sidecars of that, on loopback:

- how long one takes from its start until it listens, and until it is ready;
- what it holds in memory, ready and after 20,000 checks; `anon` is its own, the rest are pages of the program's file, which
  all of them share;
- how long a check at /forward-auth takes over one connection that stays open, and over four of them.

With a number, so many sidecars follow the one service besides: how long until all are ready, what the service holds and how
much of a core it takes then, and how long after the answer to a logout the last of them refuses the token.
"""

import asyncio
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CHECKS = int(os.environ.get("CHECKS", "20000"))
STARTS = 20


def post(url: str, body: dict, bearer: str = "") -> dict:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


def memory(pid: int) -> dict[str, float]:
    """In MiB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        found = dict(re.findall(r"^(VmRSS|RssAnon|RssFile|Threads):\s+(\d+)", status.read(), re.MULTILINE))
    return {"resident": int(found["VmRSS"]) / 1024, "anon": int(found["RssAnon"]) / 1024, "threads": int(found["Threads"])}


def shown(pid: int) -> str:
    held = memory(pid)
    return f"{held['resident']:.1f} MiB resident, {held['anon']:.1f} anon, {held['threads']} threads"


def processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Sidecar:
    def __init__(self, program: str, issuer: str, secret: str):
        arguments = ["--issuer", issuer, "--audience", issuer, "--client-id", "books", "--client-secret-file", secret]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [program, "sidecar", *arguments, "--listen", "127.0.0.1:0", "--log-level", "error"], stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        self.port = 0

    def listens(self) -> float:
        """Milliseconds from the start."""
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1])
        return (time.perf_counter() - self.began) * 1e3

    async def ready(self) -> float:
        connection = await Connection.open(self.port)
        while await connection.get("/health/ready") != 200:
            await asyncio.sleep(0.001)
        connection.close()
        return (time.perf_counter() - self.began) * 1e3

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


class Connection:
    @classmethod
    async def open(cls, port: int) -> "Connection":
        connection = cls()
        connection.reader, connection.writer = await asyncio.open_connection("127.0.0.1", port)
        return connection

    async def get(self, path: str, bearer: str = "") -> int:
        authorization = f"Authorization: Bearer {bearer}\r\n" if bearer else ""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", head)
        await self.reader.readexactly(int(length.group(1)) if length else 0)
        return int(head.split(" ", 2)[1])

    def close(self) -> None:
        self.writer.close()


def blocking_checks(port: int, token: str, count: int) -> list[float]:
    """Microseconds of each check, without an event loop between."""
    import socket

    request = f"GET /forward-auth HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    took = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(4096)
            took.append((time.perf_counter() - began) * 1e6)
            assert answer.startswith(b"HTTP/1.1 200"), answer
    return took


def print_latency(what: str, took: list[float]) -> None:
    took.sort()
    at = lambda part: took[int((len(took) - 1) * part)]
    print(f"{what}: p50 {at(0.5):.0f} us, p99 {at(0.99):.0f} us, p99.9 {at(0.999):.0f} us, of {len(took)}")


def one(program: str, issuer: str, secret: str, token: str) -> None:
    listening, ready = [], []
    for _ in range(STARTS):
        sidecar = Sidecar(program, issuer, secret)
        listening.append(sidecar.listens())
        ready.append(asyncio.run(sidecar.ready()))
        if len(ready) < STARTS:
            sidecar.stop()
    print(f"listens after {statistics.median(listening):.1f} ms, is ready after {statistics.median(ready):.1f} ms (medians)")
    print(f"ready: {shown(sidecar.pid)}")
    print_latency("one connection", blocking_checks(sidecar.port, token, CHECKS))
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(4) as pool:
        rounds = [pool.submit(blocking_checks, sidecar.port, token, CHECKS // 4) for _ in range(4)]
        print_latency("four connections", [took for round in rounds for took in round.result()])
    print(f"after them: {shown(sidecar.pid)}")
    sidecar.stop()


async def many(program: str, issuer: str, secret: str, count: int, service: subprocess.Popen) -> None:
    began = time.perf_counter()
    sidecars = []
    try:
        for start in range(0, count, 50):
            some = [Sidecar(program, issuer, secret) for _ in range(min(50, count - start))]
            sidecars += some
            for sidecar in some:
                sidecar.listens()
            await asyncio.gather(*(sidecar.ready() for sidecar in some))
        print(f"{count} sidecars: all ready after {time.perf_counter() - began:.1f} s")
        before, at = processor_seconds(service.pid), time.perf_counter()
        await asyncio.sleep(10)
        share = (processor_seconds(service.pid) - before) / (time.perf_counter() - at)
        print(f"the service meanwhile: {shown(service.pid)}, {share * 100:.0f} % of a core")
        own = sum(memory(sidecar.pid)["anon"] for sidecar in sidecars) / count
        print(f"each: {own:.1f} MiB anon")
        token = logged_in(issuer)
        connections = [await Connection.open(sidecar.port) for sidecar in sidecars]
        for connection in connections:
            # On a machine that is too busy for so many, what they know may be too old for a moment.
            while await connection.get("/forward-auth", token) != 200:
                await asyncio.sleep(0.01)
        post(issuer + "/auth/logout", {}, token)
        ended = time.perf_counter()

        async def refused(connection: Connection) -> float:
            while await connection.get("/forward-auth", token) == 200:
                await asyncio.sleep(0.001)
            return (time.perf_counter() - ended) * 1e3

        lags = sorted(await asyncio.gather(*map(refused, connections)))
        print(f"a logout is heard after {lags[len(lags) // 2]:.0f} ms, by the last after {lags[-1]:.0f} ms")
    finally:
        for sidecar in sidecars:
            sidecar.process.terminate()
        for sidecar in sidecars:
            sidecar.stop()


def logged_in(issuer: str) -> str:
    return post(issuer + "/auth/login", {"email": "johndoe@example.com", "password": "password"})["accessToken"]


def main() -> None:
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory() as folder:
        secret = folder + "/secret"
        with open(secret, "w", encoding="utf-8") as file:
            file.write("books-dev-secret\n")
        settings = {
            "PATH": os.environ["PATH"],
            "HALLPASS_RATE_LIMITS__ENABLED": "false",
            "HALLPASS_FEED__MAX_STREAMS": str(max(1_000, 2 * count)),
            "HALLPASS_FEED__MAX_STREAMS_PER_CLIENT": str(max(1_000, 2 * count)),
            "HALLPASS_HTTP__MAX_CONNECTIONS": str(max(1_000, 4 * count)),
            "HALLPASS_HTTP__MAX_CONNECTIONS_PER_ADDRESS": str(max(1_000, 4 * count)),
        }
        service = subprocess.Popen(
            [program, "dev", "--listen", "127.0.0.1:0", "--data-dir", folder + "/data"],
            env=settings, stdout=subprocess.PIPE, stderr=open(folder + "/log", "wb"),
        )  # fmt: skip
        try:
            issuer = None
            while issuer is None:
                line = service.stdout.readline().decode()
                if not line:
                    sys.exit(open(folder + "/log", encoding="utf-8").read())
                found = re.search(r"API +(http://[^/]*)/", line)
                issuer = found and found.group(1)
            token = logged_in(issuer)
            one(program, issuer, secret, token)
            if count:
                asyncio.run(many(program, issuer, secret, count, service))
        finally:
            service.terminate()
            service.wait()


main()
