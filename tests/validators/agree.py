"""Whether validators agree: agree.py LINES NAME=ANSWERS…

LINES are those that their probes have read, with what is expected (verify/vectors/README.md), and ANSWERS what they wrote.
"""

import json
import sys


def lines_of(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().split("\n") if line]


def agrees(answer: dict, expected: dict) -> bool:
    return all(answer.get(member) == value for member, value in expected.items() if member != "claims")


def main() -> None:
    asked = lines_of(sys.argv[1])
    accepted = sum(line["expect"].get("verdict") == "ok" for line in asked if line["kind"] != "keys")
    print(f"{len(asked)} lines, {accepted} tokens among them are accepted")
    wrong = False
    for named in sys.argv[2:]:
        name, path = named.split("=", 1)
        answers = lines_of(path)
        skipped = sum(answer.get("verdict") == "skipped" for answer in answers)
        others = [
            (line, answer)
            for line, answer in zip(asked, answers)
            if answer.get("verdict") != "skipped" and not agrees(answer, line["expect"])
        ]
        print(f"{name}: {len(answers)} answers, {skipped} skipped, {len(others)} disagreements")
        for line, answer in others[:5]:
            print(f"  {line.get('id')}: {answer}, expected {line['expect']}\n    {line.get('token')}")
        wrong |= bool(others) or len(answers) != len(asked)
    sys.exit(wrong)


main()
