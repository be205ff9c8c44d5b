#!/usr/bin/env python3
"""departures.py SOURCE_DIR: every row of a table "Departures" in docs/protocols has a test "departure SECTION: ...", and the reverse."""
import glob
import re
import sys

root = sys.argv[1]
problems = []
for page, tests in (("mms", "mms"), ("http", "wmsp"), ("asf", "asf"), ("msb", "msb"), ("msbd", "msbd"), ("dcom", "rpc")):
    text = open(f"{root}/docs/protocols/{page}.md", encoding="utf-8").read()
    table = text.partition("## Departures")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| ((?:[A-Z][A-Z0-9-]+ )?[0-9][0-9.]*) \|", table, re.M))
    tested = set()
    for path in glob.glob(f"{root}/tests/common/{tests}/*_test.cpp"):
        tested |= set(re.findall(r'TEST_CASE\("departure ((?:[A-Z][A-Z0-9-]+ )?[0-9.]+):', open(path, encoding="utf-8").read()))
    problems += [f"docs/protocols/{page}.md: {section} has no test" for section in sorted(told - tested)]
    problems += [f"docs/protocols/{page}.md: {section} is tested and not in the table" for section in sorted(tested - told)]
    if not told:
        problems.append(f"docs/protocols/{page}.md has no table of departures")
print("\n".join(problems) or "every departure is told and tested")
sys.exit(1 if problems else 0)
