"""Compares what libraries let in with the table of docs/validate.md: table.py DOCUMENT RESULTS…

A library that is set as the table says lets in nothing but what stands beside it there.
"""

import json
import sys
from pathlib import Path

PERSON = "good"
BESIDE = {"a machine": "machines", "logged out": "those who logged out"}
"""What says nothing of a person, or of a logout, and so is no fault of a signature's check."""


def results(files: list[str]) -> list[dict[str, list[str]]]:
    return [json.loads(line) for file in files for line in Path(file).read_text().splitlines()]


def quickstart(let_in: list[str]) -> str:
    """What the quickstart of a library does with the tokens."""
    if PERSON not in let_in:
        return "refuses all"
    faults = sorted(name for name in let_in if name != PERSON and name not in BESIDE)
    return f"works, lets in {', '.join(faults)}" if faults else "works"


def beside(let_in: list[str]) -> str:
    """Who else is let in by a library that is set as it should be."""
    return ", ".join(text for name, text in BESIDE.items() if name in let_in)


def fault(result: dict[str, list[str]]) -> str | None:
    wrong = [name for name in result["set"] if name != PERSON and name not in BESIDE]
    if PERSON not in result["set"]:
        return "lets nobody in"
    return f"lets in {', '.join(wrong)}" if wrong else None


def rows(document: str) -> dict[str, list[str]]:
    """The rows of the table, by their first cell."""
    table = document.split("\n| library | its quickstart |")[1].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {row[0]: row for row in cells}


def main() -> int:
    document, *files = sys.argv[1:]
    written, complaints = rows(Path(document).read_text()), []
    for result in results(files):
        name = f"{result['name']} {result['version']}"
        if wrong := fault(result):
            complaints.append(f"{name}, set as it should be, {wrong}")
        row = written.pop(name, None)
        computed = [quickstart(result["quickstart"]), beside(result["set"])]
        if row is None or [row[1], row[3]] != computed:
            complaints.append(f"{document} should say: | {name} | {computed[0]} | … | {computed[1]} |")
    complaints += [f"{document} has a line that is not tried: {name}" for name in written]
    print("\n".join(complaints) or "Each line of the table is so.")
    return 1 if complaints else 0


sys.exit(main())
