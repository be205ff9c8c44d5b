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
    VOID = {"meta", "br", "input"}

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


ATTACKS = {
    "terminal": b"\x1b[31mRED\x1b[0m\x1b]0;title\x07\x1b[2J\x08\x7f\xc2\x9b31m \r 12 flows: 12 as expected",
    "lines": b"one\nok 77 - forged\nnot ok 78\n1..1\nBail out!\n::error::forged\n::set-output name=a::b\n  ...\n---\n| a | b |\n# forged\n12 flows: 12 as expected, 0 not, 0 inconclusive; 0.1 s",
    "other-lines": "one\r::error::forged\u2028ok 77\u2029not ok 78\x85ok 79\x0bok 80\x0cok 81".encode(),
    "commands": b"##[error]x ##vso[task.setvariable variable=a]b ##teamcity[message] ::add-mask::x ::stop-commands::y ::error::z",
    "markup": b"x` <img src=x> ``` ![i](http://host.example/x.png) [l](javascript:alert) @all #12 !34 GH-1 www.host.example http://host.example | <b> *b* _i_ ~~s~~ &lt; $x$ \\",
    "html": b"</script></style></title></svg><script>alert(1)</script><a onclick='x' href=\"javascript:x\">'\" --> ]]> &#60;b&#62; <!-- -->",
    "backticks": b"` `` ```` a ````` ` ",
    "not-utf8": b"caf\xe9 \xff\xfe \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\xaf \xef\xbf\xbe \xef\xbf\xbf",
    "direction": "user\u202Egnp.exe\u2066 \u200f \ufeff \u200b".encode(),
    "sarif": b"[open](http://host.example) {0} \\[x](1)",
    "tap": b"# SKIP # TODO \\# x",
}
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\u200f\ufeff\ufffe\uffff]")


class Tags(html.parser.HTMLParser):
    """What a page consists of, whatever its words are."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, sorted(name for name, _ in attrs)))


def tags(text):
    parser = Tags()
    parser.feed(text)
    return parser.tags


def markdown_tags(text):
    made = subprocess.run(["cmark-gfm", "-e", "table", "-e", "autolink", "-e", "strikethrough", "--unsafe"], input=text,
                          capture_output=True, text=True, check=True)
    return [tag for tag, _ in tags(made.stdout) if tag not in ("details", "summary")]


def check_attack(format, raw, plain):
    text = raw.decode()  # UTF-8, whatever came in
    if format == "text-colour":
        text = re.sub(r"\x1b\[(0|1|4|31|32|33)m", "", text)
    assert not CONTROL.search(text), CONTROL.search(text)
    lines = text.split("\n")
    for line in lines:
        assert not re.search(r"##[a-z]*\[", line), line
    if format != "github":
        assert not any(re.match(r"\s*::[a-z]", line) for line in lines), "a workflow command"
    match format:
        case "json" | "sarif":
            json.loads(text)
        case "tap":
            check_tap(text)
            results = [line for line in lines if re.match(r"(not )?ok\b|1\.\.|Bail", line)]
            assert len(results) == 5, results
            assert all(line.startswith(("ok", "not ok", "#", "TAP", "1..", "  ")) or not line for line in lines), lines
            assert not any(re.search(r"(?<!\\)#", line) for line in results), results
        case "github":
            assert len(lines) == len(plain.split("\n"))
            assert all(re.match(r"::(error|warning|notice) .*title=.*::", line) for line in lines if line)
        case "junit":
            check_junit(text)
            assert len(list(xml.etree.ElementTree.fromstring(text).iter())) == len(list(xml.etree.ElementTree.fromstring(plain).iter()))
        case "html":
            check_html(text)
            assert tags(text) == tags(plain)
        case "markdown":
            assert markdown_tags(text) == markdown_tags(plain), text
            assert not re.search(r"(?<![`\w])@\w", re.sub(r"(`+).*?\1", "", text))
        case "text":
            # What stands at the beginning of a line is ours: the words of others follow something, or are indented.
            assert sum(bool(re.match(r"\d+ flows: ", line)) for line in lines) == 1
    if format == "sarif":
        for result in json.loads(text)["runs"][0]["results"]:
            assert not re.search(r"(?<!\\)\[", result["message"]["text"]), result["message"]


def check_html(text):
    parser = Balanced()
    parser.feed(text)
    assert not parser.wrong and not parser.open, (parser.wrong, parser.open)


def agree(directory):
    """Every format tells the same counts, flows, verdicts, transports, change and coverage."""
    sample = {path.suffix[1:]: path.read_text() for path in directory.glob("sample.*")}
    report = json.loads(sample["json"])
    counts = report["summary"]
    words = {format: html.unescape(re.sub("\u2060", "", re.sub(r"%0A", "\n", re.sub(r"\\([^\w\s])", r"\1", text)))) for format, text in sample.items()}
    for format, text in words.items():
        squeezed = re.sub(r"\s+", " ", text)
        for flow in report["flows"]:
            assert flow["id"] in text, (format, flow["id"])
            assert flow["transport"] is None or flow["transport"] in squeezed, (format, flow["id"], flow["transport"])
        for change in report["baseline"]["flows"]:
            if change["change"] in ("broken", "repaired"):
                assert re.search(change["change"], squeezed), (format, change)
        assert report["baseline"]["ruleset"] in squeezed or format == "junit", format
        for use in report["coverage"]:
            assert f"{use['file']}:{use['line']}" in squeezed or format == "json", (format, use)
            assert use["use"] in squeezed, (format, use)
        for part in (report["identity"]["when"], report["identity"]["wmlab"]["commit"], report["identity"]["kernel"]):
            assert part in squeezed, (format, part)
    suite, = xml.etree.ElementTree.fromstring(sample["junit"]).findall("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == tuple(
        str(counts[key]) for key in ("flows", "unexpected", "inconclusive"))
    assert [float(case.get("time")) for case in suite.findall("testcase")] == [flow.get("seconds", 0) for flow in report["flows"]]
    run, = json.loads(sample["sarif"])["runs"]
    assert run["properties"]["summary"] == counts
    assert len(run["results"]) == counts["unexpected"] + counts["inconclusive"]
    assert run["tool"]["driver"]["version"] and all(rule["help"]["text"] for rule in run["tool"]["driver"]["rules"])
    prints = [result["partialFingerprints"]["wmlabFlow/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    assert len(re.findall("^(?:not )?ok ", sample["tap"], re.M)) == counts["flows"]
    assert len(re.findall("^not ok ", sample["tap"], re.M)) == len(run["results"])
    assert sample["github"].count("::error ") == counts["unexpected"] and sample["github"].count("::warning ") == counts["inconclusive"]
    told = "4 flows: 2 as expected, 1 not, 1 inconclusive"
    for format in ("text", "tap", "markdown", "github", "html"):
        assert told in sample[format], format


def main():
    schema = json.loads((ROOT / "docs/report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    with tempfile.TemporaryDirectory() as directory:
        attacks = pathlib.Path(directory) / "attacks"
        attacks.mkdir()
        for name, attack in ATTACKS.items() | {("plain", b"plain words")}:
            (attacks / name).write_bytes(attack)
        subprocess.run([SAMPLES, directory], check=True)
        reports = {}
        for name in ATTACKS:
            for path in pathlib.Path(directory).glob(f"{name}.*"):
                try:
                    check_attack(path.suffix[1:], path.read_bytes(), (path.parent / f"plain{path.suffix}").read_text())
                except Exception as error:
                    raise SystemExit(f"{path.name}: {error!r}")
                path.unlink()
        for path in pathlib.Path(directory).glob("plain.*"):
            path.unlink()
        agree(pathlib.Path(directory))
        for path in sorted(pathlib.Path(directory).glob("*.*")):
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
                        check_html(text)
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
