#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-results.py FILE: prints "NAME RESULT" of each test in a JUnit file, sorted; of one that was run again, if it
failed both times."""
import sys
import xml.etree.ElementTree

results = {}
for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    failed = any(case.find(what) is not None for what in ("failure", "error"))
    result = "failed" if failed else case.get("result", case.get("status"))
    if results.get(case.get("name"), "failed") == "failed":
        results[case.get("name")] = result
for name in sorted(results):
    print(name, results[name])
