"""Asks the snippet of docs/validate.md about tokens, one a line; answers a line for each."""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("validate", sys.argv[1])
validate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(validate)

for line in sys.stdin:
    try:
        print("ok", validate.caller_of(line.rstrip("\n"))["sub"])
    except validate.Refused as refused:
        print(refused.status)
