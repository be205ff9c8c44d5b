#!/usr/bin/env python3
"""Bundles: a run is kept, judged again to the same report when its files are gone, and refused by name when a byte of it was changed. What the report
in it claims is not believed.   bundle_test.py WMLAB SOURCE [COUNT], or in many manners: bundle_test.py WMLAB SOURCE manners"""
import copy
import hashlib
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

WMLAB, SOURCE = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
MANNERS = sys.argv[3:] == ["manners"]
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 and not MANNERS else 50
FORMATS = ["json", "html", "junit", "sarif", "markdown", "tap", "github", "text"]
SITE = """version: 1
name: kept
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 300ms, content: lecture }
"""
PLAYS = """flows:
  - { id: over-tcp, type: mms-tcp, from: player, to: media }
  - { id: over-udp, type: mms-udp, from: player, to: media }
"""
CHAIN = """table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        %s
    }
}
"""
OPEN = CHAIN % "tcp dport 1755 accept\n        ct state established,related accept\n        udp dport 1024-5000 accept\n        udp dport 1755 accept"
REGISTRY = """Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Rpc\\Internet]
"Ports"=hex(7):33,00,30,00,30,00,31,00,2d,00,33,00,30,00,30,00,34,00,00,00,00,00
"PortsInternetAvailable"="Y"
"UseInternetPorts"="Y"
"""


def rows():
    """What is run: name, files, arguments, exit code (None: any of a report), what the report has to hold so that the row shows what it is for."""
    two = {"site/site.yaml": SITE + PLAYS, "old.nft": OPEN}
    shut = OPEN.replace("1024-5000 accept", "1024-5000 drop")
    baseline = ["--ruleset", "new.nft", "--baseline", "old.nft"]
    yield ("with the control", two, ["--ruleset", "shut.nft"], 1, lambda report: report["flows"][1]["verdict"] == "blocked", {"shut.nft": shut})
    for by, rule in [("recent connections", "ct state new limit rate over 1/minute burst 1 packets drop"), ("a quota", "udp dport 1024-5000 quota over 2 kbytes drop"),
                     ("chance", "udp dport 1024-5000 numgen random mod 100 < 99 drop"), ("a limit", "tcp dport 1755 limit rate over 1/hour burst 1 packets reject")]:
        ruleset = OPEN.replace("policy drop;", f"policy drop;\n        {rule}")
        yield (f"rules that look at {by}", two, ["--ruleset", "odd.nft"], None, lambda report: any("run by itself" in str(flow.get("notes")) for flow in report["flows"]),
               {"odd.nft": ruleset})
    yield ("a change to rules that look at a quota", two, ["--ruleset", "odd.nft", "--baseline", "old.nft"], None, lambda report: report["baseline"]["flows"],
           {"odd.nft": OPEN.replace("policy drop;", "policy drop;\n        udp dport 1024-5000 quota over 2 kbytes drop")})
    yield ("a change while streams play", two, [*baseline, "--live"], 1, lambda report: report["baseline"]["live"]["flows"], {"new.nft": shut})
    yield ("a change that opens what cannot be tried", two, baseline, 4, lambda report: any(not one["proven"] for one in report["baseline"]["opened"]),
           {"new.nft": OPEN.replace("tcp dport 1755", "meta mark 0x2a tcp dport 4711 accept\n        tcp dport 1755")})
    opens = OPEN.replace("tcp dport 1755", "icmp type { 0, 8 } accept\n        meta l4proto 0 accept\n        tcp dport 4711 accept\n        tcp dport 1755")
    yield ("a change that opens ports, types and protocols", two, baseline, 1, lambda report: {"icmp", "ip", "tcp"} <= {one["protocol"] for one in report["baseline"]["opened"]},
           {"new.nft": opens})
    yield ("what opens is allowed", two, [*baseline, "--allow-open"], 0, lambda report: report["baseline"]["opened"][0]["accepted"] == "--allow-open", {"new.nft": opens})
    yield ("what opens is accepted, once too long", two, baseline, 1,
           lambda report: report["baseline"]["notes"] and any(one.get("accepted") == "for a while" for one in report["baseline"]["opened"]),
           {"new.nft": opens, "site/site.yaml": SITE + 'allow_open:\n  - { rule: "4711", reason: for a while, until: 2199-12-31 }\n'
                                                      '  - { protocol: icmp, reason: long ago, until: 2020-01-01 }\n' + PLAYS})
    # Which packets are lost is not ours to say: mostly it is loss alone that changes, and both are run again.
    noisy = OPEN.replace("policy drop;", "policy drop;\n        udp dport 1024-5000 ct packets > 6 numgen inc mod 10 > 4 drop")
    yield ("what may be chance is run again", two, ["--ruleset", "noisy.nft", "--baseline", "less.nft"], None, lambda report: report["baseline"]["flows"],
           {"noisy.nft": noisy, "less.nft": noisy.replace("> 4", "> 8"), "site/site.yaml": SITE.replace("300ms", "2s") + PLAYS})
    yield ("a patch that was proven", two, ["--ruleset", "shut.nft", "--suggest", "fix.patch"], 1, lambda report: report["patch"]["diff"] and report["flows"][1]["suggestion"]["proven"],
           {"shut.nft": shut})
    yield ("suggestions that were tried", two, ["--ruleset", "shut.nft", "--apply-suggestions", "--coverage"], 1, lambda report: report["coverage"], {"shut.nft": shut})
    yield ("a scenario of several files", {"old.nft": OPEN, "site/common.yaml": SITE.replace("version: 1\n", ""), "site/players.csv": "name\none\ntwo\n", "site/site.yaml":
           "version: 1\ninclude: [common.yaml]\n\n\nfor_each:\n  in: players.csv\n  as: row\n  flows:\n    - { id: 'plays-${row.name}', type: mms-tcp, from: player, to: media }\n"},
           ["--ruleset", "old.nft"], 0, lambda report: len(report["flows"]) == 2, {})
    dcom = "flows:\n  - { id: far, type: dcom, from: player, to: media, registry: %s }\n"
    for where in ("here.reg", "../elsewhere/there.reg"):
        name = (pathlib.PurePosixPath("site") / where).as_posix().replace("site/../", "")
        yield (f"a registry export at {where}", {"site/site.yaml": SITE + dcom % where, name: REGISTRY, "old.nft": CHAIN % "ct state established,related accept\n        tcp dport 135 accept"},
               ["--ruleset", "old.nft"], 1, lambda report: report["flows"][0]["verdict"] == "blocked", {})
    yield ("events", {"old.nft": OPEN, "site/site.yaml": SITE.replace("play: 300ms", "play: 1s") + "events:\n  - { at: 500ms, flush-conntrack: true }\n" + PLAYS}, ["--ruleset", "old.nft"], None,
           lambda report: report["events"], {})
    # In the bundle's scenario the samples are written out; lines are still those of the user's file, and the notes those of the choice.
    anyone = {"site/site.yaml": SITE + "\n\nflows:\n  - { id: web, type: http, from: anyone@outside, to: media }\n", "old.nft": CHAIN % "tcp dport 80 accept\n        ct state established,related accept"}
    half = CHAIN % "ip saddr { 10.20.0.128/25, 198.51.100.0/24 } tcp dport 80 accept\n        ct state established,related accept"
    yield ("flows from any address of a zone", anyone, ["--ruleset", "half.nft", "--baseline", "old.nft", "--suggest", "fix.patch"], 1,
           lambda report: len(report["anyone"][0]["parts"]) == 2 and "198.51.100.0/24" in str(report["notes"]), {"half.nft": half})
    yield ("some of the flows", two, ["--ruleset", "old.nft", "--only", "over-u*"], 0, lambda report: len(report["flows"]) == 1, {})


def wmlab(*arguments, **where):
    return subprocess.run([WMLAB, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=280, **where)


def reports(folder, name):
    files = {format: folder / f"{name}.{format}" for format in FORMATS}
    return [word for format, file in files.items() for word in ("--report", f"{format}:{file}")], files


def runs(directory):
    for number, (name, files, arguments, code, shows, more) in enumerate(rows()):
        folder, start = directory / f"site{number}", time.monotonic()
        for file, text in {**files, **more}.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        bundle = directory / f"{number}.zip"
        words, first = reports(directory, f"{number}-first")
        ran = wmlab("run", "site/site.yaml", "--bundle", bundle, *arguments, *words, cwd=folder)
        assert ran.returncode == code or (code is None and ran.returncode in (0, 1, 4)), (name, ran)
        report = json.loads(first["json"].read_text())
        assert shows(report), (name, report)
        shutil.rmtree(folder)
        words, again = reports(directory, f"{number}-again")
        judged = wmlab("replay", bundle, *words, cwd="/")
        assert judged.returncode == ran.returncode and "the same report" in judged.stderr, (name, ran.returncode, judged.returncode, judged.stderr)
        for format in FORMATS:
            assert first[format].read_bytes() == again[format].read_bytes(), (name, format)
        print(f"{time.monotonic() - start:5.1f} s  {name}", flush=True)
        if "run again" in str(report.get("baseline")):
            print("         ... and was run again", flush=True)
        yield name, bundle


def sealed(members):
    """A bundle that is whole, of these members: what somebody makes who wants it to say something else."""
    manifest = json.loads(members["manifest.json"])
    manifest["members"] = {name: hashlib.sha256(text).hexdigest() for name, text in members.items() if name != "manifest.json"}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, json.dumps(manifest) if name == "manifest.json" else text)
    whole = bytearray(file.getvalue())
    whole[-2:] = (13 + 64).to_bytes(2, "little")
    return bytes(whole) + b"wmlab sha256:" + hashlib.sha256(whole).hexdigest().encode()


def leaves(value, path=()):
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, path + (key,))
    else:
        yield path, value


def named(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def not_believed(bundle, copy_at, generator):
    """Whatever the report in a bundle says otherwise is found, also what was measured; evidence that is missing is no evidence."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    report = json.loads(members["report.json"])
    found = list(leaves(report))
    measured = [one for one in found if one[0][0] in ("baseline", "patch", "identity") or one[0][-1] in ("seconds", "proven")]
    for path, value in generator.sample(found, min(12, len(found))) + generator.sample(measured, min(12, len(measured))):
        other = copy.deepcopy(report)
        place = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else f"{value} or so"
        copy_at.write_bytes(sealed({**members, "report.json": json.dumps(other, indent=2).encode()}))
        judged = wmlab("replay", copy_at)
        assert judged.returncode == 3, (path, judged.returncode, judged.stderr)
        assert named(path) in judged.stderr, (path, judged.stderr)
    for name in members:
        if name.startswith(("evidence/", "rulesets/", "scenario", "report", "journals/", "logs/")):
            copy_at.write_bytes(sealed({other: text for other, text in members.items() if other != name}))
            judged = wmlab("replay", copy_at)
            assert judged.returncode in (2, 3) or (name.startswith("journals/") and judged.returncode in (0, 1, 4)), (name, judged.returncode, judged.stderr)
    copy_at.unlink()


def manners():
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        told = [bundle for name, bundle in runs(directory) if name in ("a change while streams play", "a patch that was proven", "rules that look at a quota")]
        assert len(told) == 3, told
        for bundle in told:
            not_believed(bundle, directory / "claims.zip", random.Random(1))


def main():
    generator = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        scenario, bundle = SOURCE / "scenarios/mms-blocked.yaml", directory / "run.zip"
        rules = SOURCE / "scenarios/rules/mms-blocked.nft"
        (directory / "new.nft").write_text(rules.read_text().replace("1024-4999", "1024-5000"))
        ran = wmlab("run", scenario, "--ruleset", directory / "new.nft", "--baseline", rules, "--coverage", "--bundle", bundle,
                    "--report", f"json:{directory / 'run.json'}")
        assert ran.returncode == 1, ran
        again = wmlab("replay", bundle, "--report", f"json:{directory / 'again.json'}")
        assert again.returncode == 1 and "the same report" in again.stderr, again
        assert (directory / "run.json").read_text() == (directory / "again.json").read_text()
        report = json.loads((directory / "run.json").read_text())
        assert report["identity"]["rulesets"] and report["baseline"]["flows"], report

        members = zipfile.ZipFile(bundle).namelist()
        assert {"scenario.yaml", "report.json", "manifest.json", "journals/wmlab.jsonl"} <= set(members), members
        assert any(name.startswith("captures/") for name in members) and any(name.startswith("journals/baseline/") for name in members)
        not_believed(bundle, directory / "claims.zip", generator)
        changed = directory / "changed.zip"
        whole = bundle.read_bytes()
        for _ in range(COUNT):  # one bit anywhere: in a member, in the archive's tables, in the seal
            broken = bytearray(whole)
            broken[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
            changed.write_bytes(broken)
            refused = wmlab("replay", changed)
            assert refused.returncode == 2 and not refused.stdout and "changed.zip: " in refused.stderr, refused
        for name in members:  # packed again, with one member that says something else
            with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
                for member in members:
                    new.writestr(member, old.read(member) + (b" " if member == name else b""))
            refused = wmlab("replay", changed)
            assert refused.returncode == 2 and (name in refused.stderr or "cut short" in refused.stderr or "seal" in refused.stderr), (name, refused)
        for text in (b"", b"PK\x03\x04", b"{}", whole[:-1], whole[1:], whole + b"x", whole[: len(whole) // 2]):
            changed.write_bytes(text)
            refused = wmlab("replay", changed)
            assert refused.returncode == 2 and not refused.stdout, (text[:20], refused)

        same = wmlab("compare", bundle, directory / "run.json")
        assert same.returncode == 0 and "every flow came to the same" in same.stdout, same
        other = json.loads((directory / "run.json").read_text())
        other["flows"][0].update(verdict="blocked", leg="media", cause="dropped", as_expected=False)
        other["identity"]["kernel"] = "another"
        (directory / "other.json").write_text(json.dumps(other))
        differs = wmlab("compare", bundle, directory / "other.json")
        assert differs.returncode == 1 and "! good-udp: pass over udp -> blocked at media: dropped" in differs.stdout, differs
        assert "-> another" in differs.stdout, differs
        changed.unlink()
        history = wmlab("history", directory, "--html", directory / "history.html")
        assert history.returncode == 1 and "good-udp" in history.stdout and "comes and goes" in history.stdout, history
        assert "<script" not in (directory / "history.html").read_text()


manners() if MANNERS else main()
