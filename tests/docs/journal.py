#!/usr/bin/env python3
"""journal.py SOURCE: docs/journal.md and common/evidence/fields.hpp name the same fields, and no program names one by a literal of its own."""
import pathlib, re, sys

source = pathlib.Path(sys.argv[1])
header = (source / "common/evidence/fields.hpp").read_text()
names = set(re.findall(r'\w\{"(\w+)"\}', header[header.index("namespace field {"):header.index("}  // namespace field")]))
text = (source / "docs/journal.md").read_text()
wrong = [f"docs/journal.md does not name the field {name}" for name in sorted(names) if f"`{name}`" not in text]

# The other way: what a table says that an event has, leaving out what stands in parentheses or braces (values, and parts of a field).
known = names | {"host", "flow", "leg", "local", "remote"}
rows = 0
for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
    lines = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table.splitlines()]
    head = [cell.strip("| ") for cell in lines[0]]
    if "fields" not in head or head[0] != "event":
        continue
    for cells in lines[2:]:
        cell = re.sub(r"\([^()]*\)|\{[^{}]*\}", "", re.sub(r"\([^()]*\)", "", cells[head.index("fields")]))
        rows += 1
        wrong += [f"docs/journal.md: {cells[0]} has `{word}`, which is no field" for word in re.findall(r"`([a-z_]+)`", cell)
                  if word not in known and not re.search(rf"(?:with `\w+`|of leg|`leg` is|spec name) `{word}`", cell)]
if len(names) < 100 or rows < 30:
    wrong.append(f"{len(names)} fields and {rows} rows: was the form of a file changed?")

literal = re.compile(r'(?:fields(?:->|\.)(?:if_contains|contains|at|find)\(|\bfields\[)"|_field\([\w*>.()-]+, "')
for folder in ("common/process", "common/evidence", "common/net", "client_sim", "server_sim", "encoder_sim", "lab/judge", "lab/run", "lab/capture", "lab/firewall", "lab/network", "lab/logs", "lab/report"):
    for path in (source / folder).rglob("*.[ch]pp"):
        wrong += [f"{path.relative_to(source)}:{number}: {line.strip()}" for number, line in enumerate(path.read_text().splitlines(), 1) if literal.search(line)]
print("\n".join(wrong) or f"{len(names)} fields in {rows} rows")
sys.exit(1 if wrong else 0)
