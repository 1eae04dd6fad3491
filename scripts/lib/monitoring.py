"""Has things happen to a service, and asks Prometheus what the dashboard asks.

    monitoring.py SERVICE PROMETHEUS METRICS DASHBOARD RULES
"""

import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ADMIN = {"email": "johndoe@example.com", "password": "password"}
# How long Prometheus may take to have seen enough, seconds.
PATIENCE = 60


def call(url: str, body: object = None, headers: dict = {}) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refused:
        return {"refused": refused.code}


def visit(service: str) -> None:
    """Everything that the dashboard has a curve of, once."""
    tokens = call(f"{service}/auth/login", ADMIN)
    call(f"{service}/auth/login", {**ADMIN, "password": "another"})
    call(f"{service}/auth/auth-me", headers={"Authorization": f"Bearer {tokens['accessToken']}"})
    tokens = call(f"{service}/auth/refresh-token", {"refreshToken": tokens["refreshToken"]})
    call(f"{service}/auth/logout", {}, {"Authorization": f"Bearer {tokens['accessToken']}"})


def asked(dashboard: dict) -> list[tuple[str, str]]:
    queries = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    fill = lambda query: query.replace("$instance", ".*").replace("$__rate_interval", "30s")
    return [(title, fill(query)) for title, query in queries]


def answer(prometheus: str, query: str) -> list:
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        return [sample for sample in call(url)["data"]["result"] if sample["value"][1] != "NaN"]
    except (KeyError, urllib.error.URLError):
        return []


def main(service: str, prometheus: str, metrics: str, dashboard_path: str, rules_path: str) -> None:
    with open(dashboard_path, encoding="utf-8") as file:
        dashboard = json.load(file)
    with open(rules_path, encoding="utf-8") as file:
        rules = file.read()
    waiting = dict.fromkeys(asked(dashboard))
    deadline = time.monotonic() + PATIENCE
    while waiting:
        visit(service)
        for question in list(waiting):
            if answer(prometheus, question[1]):
                del waiting[question]
        if time.monotonic() > deadline:
            sys.exit("these have no answer:\n" + "\n".join(f"{title}: {query}" for title, query in waiting))
    with urllib.request.urlopen(metrics, timeout=10) as told:
        there = set(re.findall(r"^# TYPE (\w+)", told.read().decode(), re.MULTILINE))
    # Some are not told before something happens; that the page lists what there is a test holds.
    with open("docs/metrics.md", encoding="utf-8") as page:
        there |= set(re.findall(r"^\| `(\w+)`", page.read(), re.MULTILINE))
    named = set(re.findall(r"\b(?:hallpass|http_server)_\w+", rules + json.dumps(dashboard)))
    strangers = {name for name in named if re.sub(r"_(total|count|bucket|sum|info)$", "", name) not in there}
    if strangers:
        sys.exit(f"there are no metrics {sorted(strangers)}")
    print(f"{len(asked(dashboard))} queries have an answer, {len(named)} metrics are named and there")


main(*sys.argv[1:])
