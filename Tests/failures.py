#!/usr/bin/env python3
"""Prints what failed in what `swift test` said, with where and why.

    Tests/failures.py LOG [ARGUMENTS OF swift test]

A run that ended badly without a complaint (it crashed, or hung) is named by its arguments and the last that it said.
The log is read and not the report of `--xunit-output`: that one has no word of what a thread of no test complained of,
and control characters as they are, which no parser of XML lets pass.
"""

import sys

MOST_LINES = 60
MOST_CHARACTERS = 400


def printable(line: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in line)[:MOST_CHARACTERS]


def main(log: str, arguments: str) -> None:
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().split("\n")
    said = []
    complaining = False
    for line in lines:
        # A complaint, and behind it what it says of itself.
        complaining = "recorded an issue" in line or (complaining and line.startswith("↳"))
        if complaining:
            said.append(line)
    if not said:
        said = [f"✘ swift test {arguments}: ended badly without a complaint; its last words:", *lines[-12:]]
    for line in said[:MOST_LINES]:
        print(printable(line))
    if len(said) > MOST_LINES:
        print(f"… and {len(said) - MOST_LINES} lines more")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
