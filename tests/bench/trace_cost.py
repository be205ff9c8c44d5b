#!/usr/bin/env python3
"""What the trace costs: the same scenario with and without --no-trace, in turns, in the same run. Seconds, processor seconds of everything, and what
arrived of a load: media packets of many players, and datagrams and connections that go through the firewall.

    trace_cost.py WMLAB [--players N] [--rounds N]

Numbers of a shared machine; the ratio is what counts. No part of ctest.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("trace cost", more="""content:
  lecture: { synthetic: audio, bitrate: 300k }
defaults: { content: lecture, deadline: 5s }
""", interfaces=("inside", "outside"))
RULES = """table inet filter {
 chain forward {
  type filter hook forward priority filter; policy drop;
  ct state established,related accept
  iifname "outside" ip daddr 10.10.0.10 tcp dport 1755 accept
  iifname "inside" ip saddr 10.10.0.10 udp dport 1024-5000 accept
  iifname "outside" ip daddr 10.10.0.10 udp dport 1755 accept
 }
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--players", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        flows = ""
        for number in range(options.players):
            kind = ("mms-udp", "mms-tcp")[number % 2]
            flows += f"  - {{ id: play-{number}, type: {kind}, from: player, to: media, play: 5s }}\n"
        (folder / "scenario.yaml").write_text(SCENARIO + flows)
        (folder / "rules.nft").write_text(RULES)
        rows = {"with the trace": [], "without": []}
        for round_number in range(options.rounds):
            for name in rows if round_number % 2 == 0 else reversed(rows):
                before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
                done = subprocess.run([options.wmlab, "run", folder / "scenario.yaml", "--ruleset", folder / "rules.nft", "--quiet", "--report", "json",
                                       *(["--no-trace"] if name == "without" else [])], capture_output=True, text=True, timeout=300)
                seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
                report = json.loads(done.stdout)
                sent = sum(flow.get("media", {}).get("packets_sent", 0) for flow in report["flows"])
                arrived = sum(flow.get("media", {}).get("packets_received", 0) for flow in report["flows"])
                good = sum(flow["as_expected"] for flow in report["flows"])
                named = sum(any(leg.get("rule") for leg in flow["legs"]) for flow in report["flows"])
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                rows[name].append((seconds, cpu, sent - arrived))
                untraced = [note for note in report.get("notes", []) if "untraced" in note or "lost" in note]
                print(f"{name:<16}{seconds:6.2f} s  {cpu:6.2f} processor s  {sent} media packets sent, {sent - arrived} lost; {good} of {len(report['flows'])} as "
                      f"expected, {named} with a rule {untraced or ''}", flush=True)
        middle = {name: [statistics.median(row[i] for row in values) for i in range(3)] for name, values in rows.items()}
        print(f"with / without: seconds {middle['with the trace'][0] / middle['without'][0]:.2f}, processor {middle['with the trace'][1] / middle['without'][1]:.2f}, "
              f"packets lost {middle['with the trace'][2]:.0f} / {middle['without'][2]:.0f}")


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    main()
