#!/usr/bin/env python3
"""Reports of every format, held against parsers that are not ours: the JSON against its schema and the contract's example."""
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import jsonschema

ROOT, SAMPLES = pathlib.Path(sys.argv[1]), sys.argv[2]


class Balanced(html.parser.HTMLParser):
    VOID = {"meta", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not value.startswith("#"):
                self.wrong.append(f"needs {value}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")


def check_json(text, schema):
    report = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["schema"] == "wmlab.report/1"
    return report


def check_junit(text):
    valid = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", ROOT / "tests/lab/report/junit.xsd", "-"],
                           input=text, capture_output=True, text=True)
    assert valid.returncode == 0, valid.stderr
    root = xml.etree.ElementTree.fromstring(text)
    suites = root.findall("testsuite")
    assert root.tag == "testsuites" and len(suites) == 1
    cases = suites[0].findall("testcase")
    for element, attribute in (("testcase", "tests"), ("testcase/failure", "failures"), ("testcase/error", "errors")):
        assert len(suites[0].findall(element)) == int(suites[0].get(attribute)), attribute
    return cases


def check_tap(text):
    lines = text.splitlines()
    assert lines[0] == "TAP version 13"
    planned = int(re.fullmatch(r"1\.\.(\d+)", lines[1])[1])
    results = [line for line in lines if re.match(r"(not )?ok \d+ - ", line)]
    assert len(results) == planned


def check_sarif(text):
    log = json.loads(text)
    run, = log["runs"]
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert result["ruleId"] in known and result["message"]["text"] and result["level"] in ("error", "warning")


def main():
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([SAMPLES, directory], check=True)
        reports = {}
        for path in sorted(pathlib.Path(directory).iterdir()):
            text = path.read_text()
            try:
                match path.suffix[1:]:
                    case "json":
                        reports[path.stem] = check_json(text, schema)
                    case "junit":
                        check_junit(text)
                    case "tap":
                        check_tap(text)
                    case "sarif":
                        check_sarif(text)
                    case "html":
                        parser = Balanced()
                        parser.feed(text)
                        assert not parser.wrong and not parser.open, (parser.wrong, parser.open)
                    case "github":
                        assert all(re.match(r"::(error|warning|notice) .*title=.*::", line) for line in text.splitlines())
                    case "markdown":
                        rows = [line for line in text.splitlines() if line.startswith("|")]
                        assert all(len(re.findall(r"(?<!\\)\|", row)) == 8 for row in rows), rows
                    case "text":
                        assert "\x1b" not in text
            except Exception as error:
                print(text)
                raise SystemExit(f"{path.name}: {error!r}")
        sample = reports["sample"]["flows"][1]
        assert sample["rule"]["line"] == 14 and sample["near_miss"]["differs"].startswith("destination port 5000")
        assert sample["suggestion"] == {"nft": "ip saddr 10.10.0.10 udp dport 1217 accept", "file": "rules/new.nft",
                                        "before_line": 14}
        verdicts = [flow["verdict"] for flow in reports["judged"]["flows"]]
        assert verdicts == ["degraded", "blocked", "inconclusive"], verdicts
        assert reports["empty"]["flows"] == []
        # The schema must be able to refuse.
        broken = json.loads(json.dumps(reports["judged"]))
        broken["flows"][0]["verdict"] = "maybe"
        assert not jsonschema.Draft202012Validator(schema).is_valid(broken)


main()
