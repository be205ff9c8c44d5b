#!/usr/bin/env python3
"""Bundles: a run is kept, judged again to the same report, and refused by name when a byte of it was changed.   bundle_test.py WMLAB SOURCE [COUNT]"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import zipfile

WMLAB, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 50


def wmlab(*arguments):
    return subprocess.run([WMLAB, *map(str, arguments)], capture_output=True, text=True, errors="replace")


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


main()
