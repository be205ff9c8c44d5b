#!/usr/bin/env python3
"""What failed, in few lines, as the last thing that is printed.   failed_tests.py JUNIT.XML

Of each test that did not pass the end of what it printed, without the lines that say `ok`: the log of a build is long, and often
only its end is kept."""
import sys
import xml.etree.ElementTree as tree

MOST_LINES, MOST_COLUMNS = 25, 300

for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
    if case.get("status") not in ("fail", "notrun"):
        continue
    output = (case.findtext("system-out") or "").splitlines()
    lines = [line[:MOST_COLUMNS] for line in output if line.strip() and not line.startswith("ok ")]
    print(f"-- {case.get('name')}, {float(case.get('time') or 0):.0f} s:")
    for line in lines[-MOST_LINES:]:
        print("   " + line)
