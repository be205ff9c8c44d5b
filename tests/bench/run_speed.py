#!/usr/bin/env python3
"""How long `wmlab run` takes: the shipped scenario, and 10, 100 and 1,000 flows that pass or are stopped. With two programs (before and after a
change) they take turns, so that the machine is the same for both.

    run_speed.py WMLAB [WMLAB...] [--rounds N] [--flows N,N,...]

Prints the median of the rounds, in seconds from start to end, what of it is not play, and the ratio of the last program to the first."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "scenarios" / "kb189416.yaml"
HEAD = """version: 1
name: speed
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/16, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
firewall: { ruleset: RULES }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 1s, content: lecture }
flows:
"""
CHAIN = "table inet filter {\n chain forward {\n  type filter hook forward priority filter; policy %s;\n  ct state established,related accept\n%s }\n}\n"
KINDS = {  # the flows, the ruleset, what of the time is play, the verdict
    "mms-udp that pass": ("  - {{ id: one, type: mms-udp, from: player, to: media, count: {n} }}\n", CHAIN % ("accept", ""), 1.0, "pass"),
    "mms-udp without media": ("  - {{ id: one, type: mms-udp, from: player, to: media, count: {n}, expect: blocked }}\n",
                              CHAIN % ("accept", "  ip saddr 10.10.0.10 udp dport 1024-5000 drop\n"), 1.0, "blocked"),
    "probes that are dropped": ("  - {{ id: p{i}, type: probe, from: player, to: media, ports: {port}, expect: blocked }}\n", CHAIN % ("drop", ""), 0.0, "blocked"),
}


def seconds(program, scenario, verdict, flows):
    start = time.monotonic()
    done = subprocess.run([program, "run", scenario, "--report", "json", "--quiet"], capture_output=True, text=True, timeout=600)
    took = time.monotonic() - start
    found = [flow["verdict"] for flow in json.loads(done.stdout)["flows"]]
    if verdict and (len(found) != flows or set(found) != {verdict}):
        sys.exit(f"{scenario}: not {flows} times {verdict}: { {word: found.count(word) for word in set(found)} }")
    return took


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("wmlab", nargs="+")
    ask.add_argument("--rounds", type=int, default=3)
    ask.add_argument("--flows", default="10,100,1000")
    options = ask.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows = [("kb189416.yaml", SHIPPED, 1.0, None, 0)]
        for kind, (flow, rules, play, verdict) in KINDS.items():
            for number in map(int, options.flows.split(",")):
                stem = f"{kind} {number}".replace(" ", "-")
                (folder / f"{stem}.nft").write_text(rules)
                (folder / f"{stem}.yaml").write_text(HEAD.replace("RULES", f"{stem}.nft") + "".join(
                    flow.format(n=number, i=i, port=10000 + i) for i in range(number if "{i}" in flow else 1)))
                rows.append((f"{number} {kind}", folder / f"{stem}.yaml", play, verdict, number))
        print(f"{'':34}" + "".join(f"{i:>9}" for i in range(1, len(options.wmlab) + 1)) + "   beyond play   ratio")
        for title, scenario, play, verdict, flows in rows:
            took = [[] for _ in options.wmlab]
            for _ in range(options.rounds):
                for program, list_ in zip(options.wmlab, took):
                    list_.append(seconds(program, scenario, verdict, flows))
            medians = [statistics.median(list_) for list_ in took]
            print(f"{title:34}" + "".join(f"{m:9.2f}" for m in medians) + f"{medians[-1] - play:14.2f}{medians[-1] / medians[0]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
