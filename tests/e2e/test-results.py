#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test-results.py FILE: prints "NAME RESULT" of each test in a JUnit file, sorted."""
import sys
import xml.etree.ElementTree

for case in sorted(xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"), key=lambda case: case.get("name")):
    failed = any(case.find(what) is not None for what in ("failure", "error"))
    print(case.get("name"), "failed" if failed else case.get("result", case.get("status")))
