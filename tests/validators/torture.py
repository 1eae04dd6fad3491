"""How soon validators refuse what was logged out, and whether they ever accept it for longer than they may.

    torture.py HALLPASS NAME='PROBE COMMAND'…

Starts Redis and `hallpass dev`, and the probes (verify/vectors/README.md) as services beside it, which reach it through a proxy.
Then sessions are logged out, RATE a second for SECONDS, twice: undisturbed, and while the proxy cuts every connection twice a
second and sends the feed late, and the service and Redis are stopped, killed and started.

- undisturbed: each logout is watched at one probe, all in turn. The 99th percentile from the answer to the refusal has to be
  below 100 ms.
- disturbed: each logout is watched at all. None may accept a token for longer than max_staleness (2 s) after the answer.
- at last every probe is asked about every token: none may be accepted.

It fails when one of these does not hold. A logout that was not answered is repeated until it is.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shlex
import socket
import sys
import tempfile
import time

RATE = int(os.environ.get("RATE", "200"))
SECONDS = int(os.environ.get("SECONDS_EACH", "10"))
CALLERS = 16
PASSWORD = "an engine weaves patterns"
CUT_EVERY = 0.5
LATE_BY = 4.0
LAG_MAX = 0.1
MAX_STALENESS = 2.0
# Beside the bound, what a busy machine needs to look.
LOOK_ALLOWANCE = 0.2
SETTLED_WITHIN = 30.0


class Http:
    """One connection, kept open. Its methods answer status and body."""

    def __init__(self, port: int):
        self.port = port
        self.streams = None

    async def post(self, path: str, body: dict, bearer: str | None = None) -> tuple[int, dict]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        text = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        head += f"Authorization: Bearer {bearer}\r\n" if bearer else ""
        writer.write(head.encode() + b"\r\n" + text)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", answer)
        told = await reader.readexactly(int(length.group(1)) if length else 0)
        return int(answer.split(" ", 2)[1]), json.loads(told or b"{}")

    def drop(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


def free_port() -> int:
    """Below those that the system gives to whoever connects: what is killed finds its port free when it comes back."""
    while True:
        port = random.randrange(21_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port


class Redis:
    def __init__(self, folder: str):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        arguments = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --appendonly yes --appendfsync everysec"
        self.process = await asyncio.create_subprocess_exec(
            "redis-server", *arguments.split(), "--save", "", stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.write(b"PING\r\n")
                    pong = await reader.readline()
                    writer.close()
                    if pong == b"+PONG\r\n":
                        return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


class Service:
    def __init__(self, program: str, folder: str, redis: Redis, url: str):
        self.port = free_port()
        self.command = [program, "dev", "--listen", f"127.0.0.1:{self.port}", "--data-dir", folder + "/data"]
        self.log = folder + "/log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HALLPASS_PUBLIC_URL": url,
            "REDIS_URL": redis.url,
            "HALLPASS_RATE_LIMITS__ENABLED": "false",
            "HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB": "8",
            "HALLPASS_PASSWORDS__ARGON2__ITERATIONS": "1",
            "HALLPASS_PASSWORDS__HASH_WORKERS": "16",
        }

    async def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=self.environment, stdout=asyncio.subprocess.DEVNULL, stderr=log
            )
        try:
            async with asyncio.timeout(60):
                while not await self.is_ready():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            sys.exit("hallpass does not start: " + open(self.log, encoding="utf-8").read())

    async def is_ready(self) -> bool:
        with contextlib.suppress(OSError, EOFError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = (await reader.readline()).split(b" ")
            writer.close()
            return status[1:2] == [b"200"]
        return False

    async def stop(self, signal: str) -> None:
        self.process.terminate() if signal == "TERM" else self.process.kill()
        await self.process.wait()


class Proxy:
    """Passes connections on to the service that runs at the moment."""

    def __init__(self) -> None:
        self.service: Service | None = None
        self.open: set[asyncio.StreamWriter] = set()
        self.late = False

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self.service.port)
        except OSError:
            writer.close()
            return
        ends = {writer, there[1]}
        self.open |= ends
        passing = [asyncio.create_task(self.on(reader, there[1])), asyncio.create_task(self.back(there[0], writer))]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for task in passing:
            task.cancel()
        for end in ends:
            end.close()
        self.open -= ends

    async def on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()

    async def back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers; while the proxy is late, each piece that many seconds after it came."""
        pieces: asyncio.Queue = asyncio.Queue()

        async def deliver() -> None:
            with contextlib.suppress(OSError):
                while (piece := await pieces.get()) is not None:
                    due, chunk = piece
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    writer.write(chunk)
                    await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65536):
                    pieces.put_nowait((time.monotonic() + (LATE_BY if self.late else 0.0), chunk))
                pieces.put_nowait(None)
                await delivering
        finally:
            delivering.cancel()

    def cut(self) -> None:
        for end in self.open:
            end.transport.abort()


class Target:
    """A session that is to end; `ended` is when its logout was answered."""

    def __init__(self, access: str):
        self.access = access
        self.ended: float | None = None


class Probe:
    def __init__(self, name: str, command: str):
        self.name, self.command = name, shlex.split(command)
        self.watched: list[Target] = []
        self.lags: list[float] = []
        # How long after a logout a token was accepted, at most.
        self.accepted_for = 0.0
        self.looks = 0
        self.over = asyncio.Event()

    async def start(self, issuer: str) -> None:
        environment = dict(os.environ, HALLPASS_CLIENT_SECRET="books-dev-secret")
        self.process = await asyncio.create_subprocess_exec(
            *self.command, "live", issuer, issuer, "books", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 20,
        )  # fmt: skip
        async with asyncio.timeout(30):
            if await self.process.stdout.readline() != b"ready\n":
                sys.exit(f"{self.name} is not ready")

    async def ask(self, tokens: list[str]) -> list[dict]:
        self.process.stdin.write("".join(token + "\n" for token in tokens).encode())
        lines = [await self.process.stdout.readline() for _ in tokens]
        if not all(lines):
            sys.exit(f"{self.name} has ended")
        self.looks += len(lines)
        return [json.loads(line) for line in lines]

    async def watch(self) -> None:
        """Looks at what was logged out until it is refused for that."""
        while not self.over.is_set() or self.watched:
            ended = [target for target in self.watched if target.ended is not None][:200]
            asked_at = time.monotonic()
            answers = await self.ask([target.access for target in ended])
            now = time.monotonic()
            for target, answer in zip(ended, answers):
                if answer["verdict"] == "ok":
                    self.accepted_for = max(self.accepted_for, asked_at - target.ended)
                elif answer["code"] == "token_revoked":
                    self.lags.append(now - target.ended)
                    self.watched.remove(target)
                elif answer["status"] != 503:
                    sys.exit(f"{self.name} says {answer} of a token that was logged out")
            await asyncio.sleep(0.001 if len(ended) < 50 else 0.02)


async def log_in(service: Service, count: int) -> list[Target]:
    async def caller(number: int, many: int) -> list[Target]:
        connection, email = Http(service.port), f"person{time.monotonic_ns()}-{number}@example.com"
        status, told = await connection.post("/auth/register", {"email": email, "password": PASSWORD})
        assert status == 201, told
        targets = []
        for _ in range(many):
            status, told = await connection.post("/auth/login", {"email": email, "password": PASSWORD})
            assert status == 200, told
            targets.append(Target(told["accessToken"]))
        connection.drop()
        return targets

    shares = await asyncio.gather(*(caller(number, max(1, count // CALLERS)) for number in range(CALLERS)))
    return [target for share in shares for target in share]


async def log_out(target: Target, connection: Http, service: Service) -> None:
    """Once, as often as it takes to hear that it is."""
    while True:
        try:
            async with asyncio.timeout(5):
                status, _ = await connection.post("/auth/logout", {}, target.access)
        except (OSError, EOFError, TimeoutError):
            connection.drop()
            await asyncio.sleep(CUT_EVERY / 10)
            continue
        # 401: an earlier attempt was heard, and its answer was lost.
        if status in (200, 401):
            target.ended = time.monotonic()
            return
        await asyncio.sleep(CUT_EVERY / 10)


async def log_all_out(targets: list[Target], service: Service) -> None:
    began, waiting = time.monotonic(), iter(enumerate(targets))

    async def caller() -> None:
        connection = Http(service.port)
        for number, target in waiting:
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            await log_out(target, connection, service)
        connection.drop()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    print(f"  {len(targets)} logouts, {len(targets) / (time.monotonic() - began):.0f} a second")


async def phase(targets: list[Target], service: Service, probes: list[Probe], everywhere: bool) -> None:
    for number, probe in enumerate(probes):
        probe.watched = list(targets) if everywhere else targets[number :: len(probes)]
        probe.lags, probe.accepted_for = [], 0.0
        probe.over.clear()
    watching = [asyncio.create_task(probe.watch()) for probe in probes]
    await log_all_out(targets, service)
    for probe in probes:
        probe.over.set()
    async with asyncio.timeout(SETTLED_WITHIN):
        await asyncio.gather(*watching)


async def disturb(service: Service, redis: Redis, proxy: Proxy) -> None:
    async def cutting() -> None:
        while True:
            await asyncio.sleep(CUT_EVERY)
            proxy.cut()

    async def outage(service_by: str | None = None) -> None:
        await (service.stop(service_by) if service_by else redis.kill())
        await asyncio.sleep(0.5)
        await (service if service_by else redis).start()
        await asyncio.sleep(SECONDS / 6)

    proxy.late = True
    await asyncio.sleep(LATE_BY + SECONDS / 6)
    proxy.late = False
    cuts = asyncio.create_task(cutting())
    await outage("TERM")
    await outage("KILL")
    await outage()
    cuts.cancel()


async def missed(targets: list[Target], probes: list[Probe]) -> int:
    count = 0
    for probe in probes:
        for start in range(0, len(targets), 100):
            answers = await probe.ask([target.access for target in targets[start : start + 100]])
            count += sum(answer.get("code") != "token_revoked" for answer in answers)
    return count


def percentile(lags: list[float], part: float) -> float:
    return sorted(lags)[int((len(lags) - 1) * part)]


async def run(program: str, probes: list[Probe], folder: str) -> bool:
    well = True
    redis, proxy = Redis(folder), Proxy()
    issuer = f"http://127.0.0.1:{await proxy.start()}"
    service = Service(program, folder, redis, issuer)
    proxy.service = service
    try:
        await redis.start()
        await service.start()
        for probe in probes:
            await probe.start(issuer)
        print(f"undisturbed, {len(probes)} probes:")
        quiet = await log_in(service, RATE * SECONDS)
        await phase(quiet, service, probes, everywhere=False)
        for probe in probes:
            p99 = percentile(probe.lags, 0.99)
            print(f"  {probe.name}: p50 {percentile(probe.lags, 0.5) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, of {len(probe.lags)}")
            well &= p99 < LAG_MAX
        print("disturbed:")
        rough = await log_in(service, RATE * (SECONDS + int(LATE_BY)))
        disturbing = asyncio.create_task(disturb(service, redis, proxy))
        await phase(rough, service, probes, everywhere=True)
        await disturbing
        for probe in probes:
            print(f"  {probe.name}: accepted for {probe.accepted_for:.2f} s at most, of {probe.looks} looks")
            well &= probe.accepted_for <= MAX_STALENESS + LOOK_ALLOWANCE
        await settle(service, probes)
        count = await missed(quiet + rough, probes)
        print(f"at last: {count} of {len(quiet + rough) * len(probes)} answers are not token_revoked")
        return well and count == 0
    finally:
        for process in [probe.process for probe in probes if hasattr(probe, "process")]:
            # A probe ends with its stdin, and takes with it what it has started.
            process.stdin.close()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        for part in (service, redis):
            if hasattr(part, "process") and part.process.returncode is None:
                part.process.kill()
                await part.process.wait()


async def settle(service: Service, probes: list[Probe]) -> None:
    """Until every probe knows a logout that is made now."""
    last = await log_in(service, CALLERS)
    await log_all_out(last, service)
    async with asyncio.timeout(SETTLED_WITHIN):
        while await missed(last, probes):
            await asyncio.sleep(0.05)


def main() -> None:
    named = [argument.split("=", 1) for argument in sys.argv[2:]]
    probes = [Probe(name, command) for name, command in named]
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(not asyncio.run(run(sys.argv[1], probes, folder)))


main()
