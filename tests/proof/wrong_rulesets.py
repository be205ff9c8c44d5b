#!/usr/bin/env python3
"""Deliberately wrong rulesets (wrong/), each through the lab: verdict, leg, cause and the file and line of the rule that decided have to be
right, and the suggestion, applied, has to make the flow pass.

    wrong_rulesets.py WMLAB [--part K/N] [NAME...]

A ruleset says in its first lines what is run and what must be found (`# flow:`, `# expect: VERDICT LEG CAUSE`, `# mends: yes|no`); the
deciding line ends in `# <- this`, or begins as `# rule:` says; with `# almost: WHAT DIFFERS` so does the rule that almost matched, by
`# <- almost` or `# almost-rule:`, and `# almost: none` means that none may be named. `mends: no` is for translation, which no further rule mends: then the report has to
say what must change. One line per wrong answer, then `N passed, M failed`.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

HERE = pathlib.Path(__file__).parent / "wrong"
SITE = two_zones.scenario("wrong", "", """content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 500ms, content: lecture }
""", two_zones.INTERFACES, """  far:    { zone: inside,  address: 10.10.0.10, published: 198.51.100.5 }
  studio: { zone: outside, address: 10.20.0.11 }
  edge:   { zone: outside, address: 10.20.0.12 }
""")


def header(text, key):
    for line in text.splitlines():
        if line.startswith(f"# {key}: "):
            return line.split(": ", 1)[1]
    return None


def marked(files, mark="this", key="rule"):
    """(file, line) of the deciding rule, or of the one that almost matched."""
    for file in files:
        text = file.read_text()
        prefix = header(text, key)
        for number, line in enumerate(text.splitlines(), 1):
            if line.endswith(f"# <- {mark}") or (prefix and line.startswith(prefix)):
                return file.name, number
    raise ValueError(f"no line of {files} is marked")


def scenario_of(text):
    flow = header(text, "flow")
    # A host has one address: the published one stands in for the other.
    site = "".join(line + "\n" for line in SITE.splitlines() if not line.startswith("  media:" if "to: far" in flow else "  far:"))
    return site + f"  - {{ id: flow, {flow} }}\n"


def problem(wmlab, ruleset):
    text = ruleset.read_text()
    expect, mends = header(text, "expect").split(), header(text, "mends") == "yes"
    with tempfile.TemporaryDirectory() as temporary:
        scenario = pathlib.Path(temporary) / "scenario.yaml"
        scenario.write_text(scenario_of(text))
        command = [wmlab, "run", scenario, "--ruleset", ruleset, "--report", "json:-", "--quiet"] + (["--apply-suggestions"] if mends else [])
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    try:
        found = json.loads(done.stdout)["flows"][0]
    except (json.JSONDecodeError, IndexError, KeyError):
        return f"no report, exit {done.returncode}: {done.stderr.strip()[-500:]}"
    got = [found["verdict"], found["leg"], found["cause"]]
    if got != expect:
        return f"expected {expect}, got {got}: {found['explanation']}"
    rule = found["rule"] or {"file": "", "line": 0}
    files = [ruleset] + [file for path in re.findall(r'include "(.*)"', text) for file in sorted(HERE.glob(path))]
    want = marked(files)
    if (pathlib.Path(rule["file"]).name, rule["line"]) != want:
        return f"expected the rule {want}, got {found['rule']}"
    if differs := header(text, "almost"):
        near = found.get("near_miss")
        got = (pathlib.Path(near["file"]).name, near["line"], near["differs"]) if near else "none"
        if got != (differs if differs == "none" else (*marked(files, "almost", "almost-rule"), differs)):
            return f"expected the near miss {differs!r}, got {near}"
    if mends and (found["suggestion"] or {}).get("proven") is not True:
        return f"the suggestion does not mend it: {found['suggestion']}"
    if not mends and not (found["suggestion"] or {}).get("change"):
        return f"the report does not say what must change: {found['suggestion']}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--part", default="1/1", help="every Nth of them, from the Kth on")
    arguments = parser.parse_args()
    wmlab, names = arguments.wmlab, arguments.names
    first, step = map(int, arguments.part.split("/"))
    rulesets = [file for file in sorted(HERE.iterdir()) if file.suffix in (".nft", ".rules") and (not names or file.stem in names)][first - 1::step]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        for ruleset, why in zip(rulesets, pool.map(lambda ruleset: problem(wmlab, ruleset), rulesets)):
            if why:
                failed += 1
                print(f"WRONG {ruleset.name}: {why}")
    print(f"{len(rulesets) - failed} passed, {failed} failed")
    return 1 if failed or not rulesets else 0


if __name__ == "__main__":
    sys.exit(main())
