"""A front before a service that makes happen at once what otherwise takes a quarter of an hour or an outage.

    front.py URL

Prints its own URL, then hands every request on. It is told what to do by
    POST /front/expire      all access tokens handed out so far are answered 401 `token_expired`
    POST /front/busy        the next request is answered 503 `dependency_unavailable`, once
    GET  /front/refreshes   how many refreshes it has handed on
It plays a later version, too: every object of its answers has a member more than the service's.
"""

import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROBLEMS = {
    401: ("Unauthorized", "token_expired", {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
    503: ("Service Unavailable", "dependency_unavailable", {"Retry-After": "1"}),
}
# Headers of one connection, which are not those of the other.
OF_THE_CONNECTION = {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = ""
    lock = threading.Lock()
    seen: set[str] = set()
    expired: set[str] = set()
    busy = 0
    refreshes = 0

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match f"{self.command} {self.path}":
            case "POST /front/expire":
                with self.lock:
                    Front.expired |= self.seen
                self.answer(200, {}, b"{}")
            case "POST /front/busy":
                with self.lock:
                    Front.busy += 1
                self.answer(200, {}, b"{}")
            case "GET /front/refreshes":
                self.answer(200, {}, json.dumps({"refreshes": self.refreshes}).encode())
            case _:
                self.hand_on(body)

    do_POST = do_PATCH = do_DELETE = do_GET

    def hand_on(self, body: bytes) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        is_refresh = self.path == "/auth/refresh-token"
        with self.lock:
            if Front.busy:
                Front.busy -= 1
                return self.problem(503)
            if token in self.expired and not is_refresh:
                return self.problem(401)
            Front.refreshes += is_refresh
            if token:
                self.seen.add(token)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_THE_CONNECTION}
        request = urllib.request.Request(self.service + self.path, body or None, headers, method=self.command)
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in OF_THE_CONNECTION}
            self.answer(answer.status, passed, grown(answer.read(), answer.headers.get_content_type()))

    def problem(self, status: int) -> None:
        title, code, headers = PROBLEMS[status]
        problem = {"type": f"urn:hallpass:error:{code}", "title": title, "status": status, "detail": title, "code": code}
        self.answer(status, {"Content-Type": "application/problem+json"} | headers, json.dumps(problem).encode())

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has done what it came for may leave in whatever way."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def grown(body: bytes, media_type: str) -> bytes:
    """The body with members that no document has."""
    if media_type not in ("application/json", "application/problem+json"):
        return body
    return json.dumps(json.loads(body, object_hook=lambda members: members | {"of_a_later_version": [{}]})).encode()


if __name__ == "__main__":
    Front.service = sys.argv[1]
    server = Server(("127.0.0.1", 0), Front)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
