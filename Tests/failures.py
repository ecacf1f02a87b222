#!/usr/bin/env python3
"""Prints what failed in a report of `swift test --xunit-output`, a line each: class, test, the first complaint.

    Tests/failures.py REPORT [ARGUMENTS OF swift test]

A report that is missing or names nothing (the run crashed) is named by its arguments. It is not read as XML: what a
test complains of is written as it is, control characters included, which no parser of XML lets pass.
"""

import re
import sys
from html import unescape

CASE = re.compile(r'<testcase classname="([^"]*)" name="([^"]*)"[^>]*?(?<!/)>\s*<failure message="([^"]*)"')


def main(report: str, arguments: str) -> None:
    try:
        with open(report, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        text = ""
    failed = CASE.findall(text)
    for case in failed:
        classname, name, complaint = (" ".join(unescape(part).split()) for part in case)
        complaint = "".join(each if each.isprintable() else "?" for each in complaint)
        print(f"✘ {classname} {name}: {complaint[:400]}")
    if not failed:
        print(f"✘ swift test {arguments}: ended badly and says of no test that it failed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
