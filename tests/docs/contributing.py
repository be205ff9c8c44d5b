#!/usr/bin/env python3
"""contributing.py SOURCE: the files that CONTRIBUTING.md names exist, and each says of the example what the table claims."""
import pathlib, re, sys

source = pathlib.Path(sys.argv[1])
text = (source / "CONTRIBUTING.md").read_text()
wrong, rows = [], re.findall(r"^\| `([^`]+)` \| .* \| `([^`]+)` \|$", text, re.M)
for file, word in rows:
    path = source / file
    if not path.is_file():
        wrong.append(f"{file}: there is no such file")
    elif not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", path.read_text()):
        wrong.append(f"{file} does not say {word}")
for file in set(re.findall(r"`((?:tests|docs|lab|common)/[\w/.-]+)`", text)) | set(re.findall(r"\bdocs/[\w/]+\.md\b", text)):
    if not (source / file).exists():
        wrong.append(f"{file}: there is no such file")
if len(rows) < 10:
    wrong.append(f"the table has {len(rows)} rows: was its form changed?")
print("\n".join(wrong) or f"{len(rows)} rows hold")
sys.exit(1 if wrong else 0)
