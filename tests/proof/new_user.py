#!/usr/bin/env python3
"""A production ruleset (site/, nftables and iptables-save) from nothing to green: `wmlab init` writes a scenario that `wmlab check` takes; the
scenario that was made of it is red; the patch that `--suggest` writes is applied by patch(1); then it is green, what shall be shut is shut, and the gate lets the change pass.

    new_user.py WMLAB

Says what it did and how long it took; exit 1 where a step did not come to what it should.
"""
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent / "site"


def step(folder, want, *command):
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    print(f"{time.monotonic() - start:6.1f} s  exit {done.returncode}  {' '.join(map(str, command[1:] if command[0] == WMLAB else command))}", flush=True)
    if done.returncode != want:
        print(f"exit {want} was expected\n{done.stdout}\n{done.stderr}")
        raise SystemExit(1)
    return done.stdout


def main():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(walk, ("gateway.nft", "gateway.rules")))


def walk(ruleset):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for file in HERE.iterdir():
            shutil.copy(file, folder / file.name)
        step(folder, 0, WMLAB, "init", ruleset, "--output", "made.yaml")
        step(folder, 0, WMLAB, "check", "made.yaml")
        step(folder, 1, WMLAB, "run", "site.yaml", "--ruleset", ruleset, "--suggest", "fix.patch")
        print((folder / "fix.patch").read_text())
        shutil.copy(folder / ruleset, folder / ("before-" + ruleset))
        step(folder, 0, "patch", "-p0", "-i", "fix.patch")
        out = step(folder, 0, WMLAB, "run", "site.yaml", "--ruleset", ruleset)
        print(out.strip().splitlines()[-1])
        # The gate: the change mends and opens nothing that no flow needs.
        step(folder, 0, WMLAB, "run", "site.yaml", "--baseline", "before-" + ruleset, "--ruleset", ruleset)


if __name__ == "__main__":
    WMLAB = str(pathlib.Path(sys.argv[1]).resolve())
    main()
