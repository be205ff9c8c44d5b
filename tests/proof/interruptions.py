#!/usr/bin/env python3
"""An end that is asked for at any moment comes, whatever is going on then: labs, sweeps, trials of suggestions, or what is between them.

    interruptions.py WMLAB [--count N] [--seed N] [--within SECONDS]

N requests, at moments drawn from the whole time that each command takes (or from its first seconds), by SIGINT and SIGTERM. Each has to end within ten seconds, with
130 or with the result that it had by then; nothing that it started may be left."""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("interruptions", """  - { id: stream, type: probe, from: player, to: media, ports: 1755 }
  - { id: auto, type: mms-auto, from: player, to: media }
""", """content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 2s, play: 300ms, content: lecture }
""", two_zones.INTERFACES)
OLD = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 80, 1755 } accept
  }
}
"""
# Limits make the comparison of both rulesets long.
NEW = OLD.replace("    ct state", "    tcp flags syn limit rate over 5/second burst 5 packets drop\n    ct state").replace(
    "  }\n}", "    iifname outside tcp dport 1-65535 accept\n    meta nfproto ipv6 accept\n  }\n}")
COMMANDS = [
    ["run", "scenario.yaml", "--baseline", "old.nft", "--ruleset", "new.nft"],
    ["run", "scenario.yaml", "--baseline", "old.nft", "--ruleset", "new.nft", "--live"],
    ["run", "scenario.yaml", "--ruleset", "old.nft", "--suggest", "mend.patch"],
    ["audit", "scenario.yaml", "--ruleset", "new.nft"],
    ["audit", "scenario.yaml", "--baseline", "old.nft", "--ruleset", "new.nft"],
    ["exec", "scenario.yaml", "player", "--", "sleep", "1"],
    ["demo"],
]
LIMIT = 10


def processes_of(mark):
    """Those that carry the mark in their environment, and so come from one of ours."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("wmlab")
    ask.add_argument("--count", type=int, default=60)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--within", type=float, help="seconds from which the moments are drawn")
    options = ask.parse_args()
    rng = random.Random(options.seed)
    wmlab = str(pathlib.Path(options.wmlab).resolve())
    mark = f"WMLAB_TEST_OF_INTERRUPTIONS={os.getpid()}"
    environment = dict([*os.environ.items(), tuple(mark.split("="))])
    wrong, slowest, asked = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        environment["TMPDIR"] = name
        for file, text in (("scenario.yaml", SCENARIO), ("old.nft", OLD), ("new.nft", NEW)):
            (folder / file).write_text(text)

        def begun(command):
            return subprocess.Popen([wmlab, *command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True)

        whole = []  # how long each takes, and how it ends
        for command in [] if options.within else COMMANDS:
            start = time.monotonic()
            process = begun(command)
            process.communicate(timeout=200)
            whole.append((time.monotonic() - start, process.returncode))
        for number in range(options.count):
            command = COMMANDS[number % len(COMMANDS)]
            seconds, code = whole[number % len(COMMANDS)] if whole else (options.within, 1)
            asked_by, moment = rng.choice([signal.SIGINT, signal.SIGTERM]), rng.uniform(0.01, seconds)
            process = begun(command)
            try:
                out, _ = process.communicate(timeout=moment)
                continue  # it was faster this time
            except subprocess.TimeoutExpired:
                pass
            asked += 1
            process.send_signal(asked_by)
            start = time.monotonic()
            try:
                out, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
            took = time.monotonic() - start
            slowest = max(slowest, took)
            # In its first moments no handler is there yet, and the signal ends the process by itself.
            good = process.returncode in (0, code, 4, 130, 128 + asked_by) or (moment < 0.1 and process.returncode == -asked_by)
            left = processes_of(mark)
            if took > LIMIT or not good or left:
                wrong += 1
                print(f"WRONG wmlab {' '.join(command)}: {asked_by.name} after {moment:.2f} s of {seconds:.2f} s: exit {process.returncode} "
                      f"{took:.1f} s later, left over: {left or 'nothing'}\n{out[-1500:]}", flush=True)
    print(f"{asked} asked for an end, {wrong} wrong; {slowest:.1f} s at most")
    return 1 if wrong or asked < options.count // 2 else 0


if __name__ == "__main__":
    sys.exit(main())
