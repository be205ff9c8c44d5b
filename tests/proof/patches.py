#!/usr/bin/env python3
"""What `wmlab run --suggest` writes, for the deliberately wrong rulesets (wrong/): patch(1) applies it, the flow then passes, and does not
pass without any one of the lines that were added.

    patches.py WMLAB [--part 1/4] [--jobs N] [NAME...]

Rulesets that no rule mends (`mends: no`) must get a patch that is empty or one that mends all the same. One line per wrong answer, then
`N passed, M failed`.
"""
import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import wrong_rulesets

HERE = pathlib.Path(__file__).parent / "wrong"


def run(wmlab, folder, ruleset, *more):
    command = [wmlab, "run", "scenario.yaml", "--ruleset", ruleset, "--report", "json:-", "--quiet", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    try:
        return json.loads(done.stdout), done
    except json.JSONDecodeError:
        return None, done


def added(before, after):
    """The numbers, from 0, of lines that are new in `after`, which holds all of `before` in its order."""
    numbers, at = [], 0
    for number, line in enumerate(after):
        if at < len(before) and line == before[at]:
            at += 1
        else:
            numbers.append(number)
    return numbers


def problem(wmlab, ruleset):
    text = ruleset.read_text()
    mends = wrong_rulesets.header(text, "mends") == "yes"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for file in HERE.iterdir():
            if file.is_dir():
                shutil.copytree(file, folder / file.name)
            elif file == ruleset or (file.stem == ruleset.stem and file.suffix == ".ipset"):
                shutil.copy(file, folder / file.name)
        (folder / "scenario.yaml").write_text(wrong_rulesets.scenario_of(text))
        report, done = run(wmlab, folder, ruleset.name, "--suggest", "fix.patch")
        if report is None:
            return f"no report, exit {done.returncode}: {done.stderr.strip()[-300:]}"
        if done.returncode == 0:
            return "the flow passes without any change"
        fix = (folder / "fix.patch").read_text()
        if not fix:
            return "no patch" if mends else None
        if not report["patch"]["proven"]:
            return f"the patch is not proven: {report['patch']['notes']}"
        originals = {file: file.read_text().splitlines() for file in folder.rglob("*") if file.is_file() and f"+++ {file.relative_to(folder)}\n" in fix}
        applied = subprocess.run(["patch", "-p0", "-i", "fix.patch"], cwd=folder, capture_output=True, text=True)
        if applied.returncode != 0:
            return f"patch(1) refuses it: {applied.stdout}{applied.stderr}\n{fix}"
        report, done = run(wmlab, folder, ruleset.name)
        if report is None or done.returncode != 0:
            return f"with the patch: exit {done.returncode}, {report and report['flows'][0]['explanation']} {done.stderr.strip()[-300:]}\n{fix}"
        for file, lines in originals.items():
            patched = file.read_text().splitlines()
            numbers = added(lines, patched)
            rules = [n for n in numbers if any(word in patched[n] for word in (" accept", "-j ACCEPT", "dnat to", "dnat ip to", "-j DNAT"))]
            for number in rules if len(rules) > 1 else []:
                file.write_text("\n".join(line for n, line in enumerate(patched) if n != number) + "\n")
                report, done = run(wmlab, folder, ruleset.name)
                if done.returncode == 0:
                    return f"not needed: {patched[number]}\n{fix}"
            file.write_text("\n".join(patched) + "\n")
    return None


def main():
    ask = argparse.ArgumentParser(description="patches that wmlab suggests, applied by patch(1)")
    ask.add_argument("wmlab")
    ask.add_argument("names", nargs="*")
    ask.add_argument("--part", default="1/1", help="the Nth of M parts")
    ask.add_argument("--jobs", type=int, default=4)
    options = ask.parse_args()
    rulesets = [file for file in sorted(HERE.iterdir()) if file.suffix in (".nft", ".rules") and (not options.names or file.stem in options.names)]
    nth, parts = map(int, options.part.split("/"))
    rulesets = rulesets[nth - 1 :: parts]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        for ruleset, why in zip(rulesets, pool.map(lambda ruleset: problem(options.wmlab, ruleset), rulesets)):
            if why:
                failed += 1
                print(f"WRONG {ruleset.name}: {why}", flush=True)
    print(f"{len(rulesets) - failed} passed, {failed} failed")
    return 1 if failed or not rulesets else 0


if __name__ == "__main__":
    sys.exit(main())
