#!/usr/bin/env python3
"""How large a load this machine bears: players of each transport through the lab's firewall, more and more of them.

    load.py WMLAB [--players 100,300,1000] [--types mms-udp,mms-tcp,http] [--ramp 5s] [--duration 10s] [--rate 64k] [--ruleset FILE]

A row for each run: set-up times, loss, jitter, gaps, how busy the machine was, what the report calls the limit, and seconds of the whole run beyond ramp
and duration (building the lab, judging, the run with the firewall open where there was one). Not part of ctest."""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import two_zones

ACCEPT = "table inet t {\n chain c {\n  type filter hook forward priority 0; policy drop;\n  ct state established,related accept\n  ct state new accept\n }\n}\n"
UNITS = {"ms": 0.001, "s": 1, "m": 60}


def seconds(duration):
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m)", duration).groups()
    return float(number) * UNITS[unit]


def measure(options, type, players):
    flow = f"  - {{ id: load, type: {type}, from: player, to: media, load: {{ players: {players}, ramp: {options.ramp}, duration: {options.duration} }} }}\n"
    with tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        (here / "load.yaml").write_text(two_zones.scenario("load", flow, f"content: {{ live: {{ synthetic: audio, bitrate: {options.rate} }} }}\n"))
        ruleset = options.ruleset or here / "rules.nft"
        (here / "rules.nft").write_text(ACCEPT)
        start = time.monotonic()
        done = subprocess.run([options.wmlab, "run", here / "load.yaml", "--ruleset", ruleset, "--report", "json", "--quiet"], capture_output=True, text=True)
        took = time.monotonic() - start
    if not done.stdout:
        sys.exit(done.stderr)
    load, = json.loads(done.stdout)["loads"]
    return load, took


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("wmlab")
    ask.add_argument("--players", default="100,300,1000")
    ask.add_argument("--types", default="mms-udp,mms-tcp,http")
    ask.add_argument("--ramp", default="5s")
    ask.add_argument("--duration", default="10s")
    ask.add_argument("--rate", default="64k")
    ask.add_argument("--ruleset", type=pathlib.Path)
    options = ask.parse_args()
    if options.ruleset:
        options.ruleset = options.ruleset.resolve()
    played = seconds(options.ramp) + seconds(options.duration)
    print("type      players  set up  worked   p50 ms   p95 ms   p99 ms   loss %  jitter p95   gaps   gaps/s   busy %  late ms  limit      beyond play s")
    for type in options.types.split(","):
        for players in map(int, options.players.split(",")):
            load, took = measure(options, type, players)
            setup = load["setup"] or dict(p50=0, p95=0, p99=0)
            machine = load["machine"]
            print(f"{type:9}{players:8}{load['set_up']:8}{load['worked']:8}{setup['p50']:9.1f}{setup['p95']:9.1f}{setup['p99']:9.1f}{100 * load['loss']:9.2f}"
                  f"{(load['jitter'] or dict(p95=0))['p95']:12.1f}{load['gaps']:7}{load['gaps_per_second']:9.2f}{100 * machine.get('busy', 0):9.0f}"
                  f"{machine.get('late', 0):9.0f}  {load['limit'] or '-':9}{took - played:15.1f}", flush=True)


if __name__ == "__main__":
    main()
