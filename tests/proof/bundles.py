#!/usr/bin/env python3
"""Bundles of runs with every wrong ruleset (wrong/), each in several manners, judged again when scenario and rulesets are gone: the report has to be the
same in every format, byte for byte, and the exit code too. Then bundles with one byte changed, which have to be refused, with the name of what was changed.

    bundles.py WMLAB [--runs N] [--changed N] [--jobs N] [--seed N] [--no-sweep]

500 runs and 50 changed bundles are the whole of it, which takes hours: where rules count, the sweep of --baseline waits. --no-sweep leaves --baseline out. One line per wrong answer, then `N passed, M failed`."""
import argparse
import concurrent.futures
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

import wrong_rulesets

PATIENCE = 900  # seconds with one run: where rules count, the sweep of two rulesets takes minutes
# What a run is asked for besides; {other}: the next ruleset.
MANNERS = [[], ["--coverage"], ["--baseline", "{other}"], ["--apply-suggestions"], ["--suggest", "{folder}/fix.patch"], ["--baseline", "{other}", "--live"],
           ["--baseline", "{other}", "--allow-open", "--coverage"]]
FORMATS = ["json", "html", "junit", "sarif", "markdown", "tap", "github", "text"]


def reports(folder, name):
    """Options for a report in every format, and the files."""
    files = [folder / f"{name}.{format}" for format in FORMATS]
    return [word for format, file in zip(FORMATS, files) for word in ("--report", f"{format}:{file}")], files


def problem(wmlab, folder, number, ruleset, other, manner):
    name = f"{ruleset.name} {' '.join(manner)}"
    bundle, folder = folder / f"{number}.zip", folder / f"{number}"
    shutil.copytree(ruleset.parent, folder)
    scenario = folder / "scenario.yaml"
    scenario.write_text(wrong_rulesets.scenario_of(ruleset.read_text()))
    words, first = reports(folder.parent, f"{number}-first")
    words += [word.format(other=folder / other.name, folder=folder) for word in manner]
    ran = subprocess.run([wmlab, "run", scenario, "--ruleset", folder / ruleset.name, "--bundle", bundle, "--quiet", *words],
                         capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    if ran.returncode not in (0, 1, 4):
        return f"{name}: the run ended with {ran.returncode}: {ran.stderr[-300:]}"
    shutil.rmtree(folder)
    words, again = reports(folder.parent, f"{number}-again")
    replayed = subprocess.run([wmlab, "replay", bundle, "--quiet", *words], cwd="/", capture_output=True, text=True, errors="replace", timeout=300)
    other_ones = [one.suffix[1:] for one, two in zip(first, again) if not two.exists() or one.read_bytes() != two.read_bytes()]
    if other_ones or "the same report" not in replayed.stderr:
        return f"{name}: another report, as {', '.join(other_ones)}: {replayed.stderr.strip()[-400:]}"
    if replayed.returncode != ran.returncode:
        return f"{name}: the run ended with {ran.returncode}, the replay with {replayed.returncode}"
    return None


def judged_twice(wmlab, folder, number, ruleset, other, manner):
    try:
        wrong = problem(wmlab, folder, number, ruleset, other, manner)
    except subprocess.TimeoutExpired as late:
        wrong = f"{ruleset.name} {' '.join(manner)}: `wmlab {late.cmd[1]}` did not end in {late.timeout:g} s"
    if wrong:
        print(wrong, flush=True)
    return wrong


def members(bundle):
    """Pairs of range and name: where in the file each member's bytes are."""
    with zipfile.ZipFile(bundle) as archive:
        for one in archive.infolist():
            with open(bundle, "rb") as file:
                file.seek(one.header_offset + 26)
                lengths = file.read(4)
            start = one.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
            yield range(start, start + one.compress_size), one.filename


def changed(wmlab, bundle, copy, generator):
    """One bit anywhere. What holds the changed byte is named."""
    whole = bytearray(bundle.read_bytes())
    at, bit = generator.randrange(len(whole)), generator.randrange(8)
    whole[at] ^= 1 << bit
    copy.write_bytes(whole)
    held_by = [name for place, name in members(bundle) if at in place]
    refused = subprocess.run([wmlab, "replay", copy], capture_output=True, text=True, errors="replace", timeout=300)
    if refused.returncode != 2 or refused.stdout:
        return f"{bundle.name}: byte {at}, bit {bit} changed, and it ended with {refused.returncode}"
    if copy.name not in refused.stderr or not re.search("|".join(map(re.escape, held_by)) or ": it is not judged|cut short|bundle", refused.stderr):
        return f"{bundle.name}: byte {at} of {held_by or 'the archive itself'} changed, and it says {refused.stderr.strip()}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--changed", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-sweep", action="store_true")
    wish = parser.parse_args()
    wmlab = str(pathlib.Path(wish.wmlab).resolve())
    generator = random.Random(wish.seed)
    rulesets = sorted(path for path in wrong_rulesets.HERE.iterdir() if path.suffix in (".nft", ".rules"))
    all_runs = [(ruleset, rulesets[(i + 1) % len(rulesets)], manner) for manner in MANNERS if not (wish.no_sweep and "--baseline" in manner) for i, ruleset in enumerate(rulesets)]
    generator.shuffle(all_runs)
    all_runs = all_runs[: wish.runs]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(wish.jobs) as pool:
        folder = pathlib.Path(folder)
        wrong = list(pool.map(lambda job: judged_twice(wmlab, folder, job[0], *job[1]), enumerate(all_runs)))
        bundles = [bundle for bundle in sorted(folder.glob("*.zip")) if bundle.stat().st_size > 0]
        for number in range(wish.changed):
            wrong.append(changed(wmlab, generator.choice(bundles), folder / f"changed-{number}.zip", generator))
            if wrong[-1]:
                print(wrong[-1], flush=True)
    failed = sum(one is not None for one in wrong)
    print(f"{len(all_runs)} bundles judged again, {wish.changed} changed bytes: {len(wrong) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
