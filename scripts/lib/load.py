"""People and services at a `hallpass dev` with example clients, for so many seconds: what the dashboard has curves of.

    load.py SERVICE SECONDS
"""

import base64
import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request

CLIENT = ("books", "books-dev-secret")
PASSWORD = "an engine weaves patterns"
PEOPLE = 24


class Load:
    def __init__(self, service: str, seconds: float) -> None:
        self.service, self.until = service, time.monotonic() + seconds
        self.tokens: dict[str, dict] = {}
        self.lock = threading.Lock()

    def call(self, path: str, body: object = None, bearer: str = "", form: str = "") -> tuple[int, dict]:
        headers = {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        if form:
            data, headers["Content-Type"] = form.encode(), "application/x-www-form-urlencoded"
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        request = urllib.request.Request(self.service + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refused:
            return refused.code, {}
        except OSError:
            return 0, {}

    def going_on(self) -> bool:
        return time.monotonic() < self.until

    def any_tokens(self) -> dict:
        with self.lock:
            return random.choice(list(self.tokens.values()) or [{}])

    def validate(self) -> None:
        """A page that is loaded again and again, by one of those who are logged in."""
        while self.going_on():
            self.call("/auth/auth-me", bearer=self.any_tokens().get("accessToken", "none"))
            time.sleep(random.expovariate(40))

    def live(self, person: int) -> None:
        """Logs in, refreshes for a while, and logs out; one in five keeps an old refresh token, and uses it."""
        who = {"email": f"person{person}@example.com", "password": PASSWORD}
        self.call("/auth/register", {**who, "first_name": "Person"})
        while self.going_on():
            status, tokens = self.call("/auth/login", who)
            if status != 200:
                time.sleep(1)
                continue
            first = tokens["refreshToken"]
            with self.lock:
                self.tokens[who["email"]] = tokens
            for _ in range(random.randint(2, 6)):
                time.sleep(random.expovariate(0.4))
                status, next_ones = self.call("/auth/refresh-token", {"refreshToken": tokens["refreshToken"]})
                if random.random() < 0.3:
                    # A second tab, at the same moment.
                    self.call("/auth/refresh-token", {"refreshToken": tokens["refreshToken"]})
                if status == 200:
                    tokens = next_ones
                    with self.lock:
                        self.tokens[who["email"]] = tokens
            if random.random() < 0.2:
                self.call("/auth/refresh-token", {"refreshToken": first})
            else:
                self.call("/auth/logout", {}, tokens["accessToken"])
            with self.lock:
                self.tokens.pop(who["email"], None)
            time.sleep(random.expovariate(0.5))

    def mistype(self) -> None:
        while self.going_on():
            person = random.randrange(PEOPLE)
            self.call("/auth/login", {"email": f"person{person}@example.com", "password": "not that one"})
            if random.random() < 0.3:
                self.call("/auth/reset-password-request", {"email": f"person{person}@example.com"})
            time.sleep(random.expovariate(0.7))

    def follow(self) -> None:
        """A service that follows the revocations."""
        while self.going_on():
            status, token = self.call("/oauth2/token", form="grant_type=client_credentials&scope=revocations:read")
            if status == 200:
                headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "text/event-stream"}
                request = urllib.request.Request(self.service + "/revocations/stream", headers=headers)
                try:
                    with urllib.request.urlopen(request, timeout=10) as stream:
                        while self.going_on() and stream.readline():
                            pass
                except OSError:
                    pass
            time.sleep(1)

    def run(self) -> None:
        jobs = [self.validate] * 4 + [self.mistype, self.follow, self.follow]
        jobs += [lambda person=person: self.live(person) for person in range(PEOPLE)]
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        for thread in threads:
            thread.join(max(0.0, self.until + 15 - time.monotonic()))


if __name__ == "__main__":
    random.seed(1)
    Load(sys.argv[1], float(sys.argv[2])).run()
