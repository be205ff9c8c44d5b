#!/usr/bin/env python3
"""`wmlab audit` beside nmap, on the same lab, with the same rulesets, in the same run: seconds, and how many ports of one host each gets wrong or
leaves open ("open|filtered"). The rulesets let through 100 random TCP and 100 random UDP ports and stop the others in one of three ways.

    audit_nmap.py WMLAB [--rounds N] [--limit SECONDS]

nmap runs as root on the outside host (`wmlab exec`), with the timing that is fastest, and once with only -T5, ended after the limit. Nothing listens at
the far end: "open" or "closed" means that the probe got through the firewall, "filtered" that it did not.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("side by side", two_zones.PROBE_80)
STOPPED_BY = {"drop": "", "reject": "  reject\n", "reset": "  meta l4proto tcp reject with tcp reset\n  reject\n"}
FAST = ["-T5", "--min-rate", "20000", "--max-retries", "1"]
SCANS = [("nmap -sS, fast", "tcp", ["-sS", "-p-", *FAST]), ("nmap -sT, fast", "tcp", ["-sT", "-p-", *FAST]),
         ("nmap -sS -T5", "tcp", ["-sS", "-p-", "-T5"]), ("nmap -sU, fast", "udp", ["-sU", "-p-", *FAST]),
         ("nmap -sU -T5", "udp", ["-sU", "-p-", "-T5", "--max-retries", "1"])]


def ruleset(tcp, udp, end):
    listed = lambda ports: ", ".join(map(str, sorted(ports)))
    return ("table inet filter {\n chain forward {\n  type filter hook forward priority filter; policy drop;\n"
            "  ct state established,related accept\n"
            f"  tcp dport {{ {listed(tcp)} }} accept\n  udp dport {{ {listed(udp)} }} accept\n{end} }}\n}}\n")


def wmlab(program, scenario, rules):
    start = time.monotonic()
    done = subprocess.run([program, "audit", scenario, "--ruleset", rules, "--report", "json"], capture_output=True, text=True, timeout=300)
    seconds = time.monotonic() - start
    found, untested = {}, {}
    for pair in json.loads(done.stdout)["pairs"]:
        if (pair["from"], pair["to"]) != ("player", "media"):
            continue
        expand = lambda texts: {port for text in texts for port in range(int(text.split("-")[0]), int(text.split("-")[-1]) + 1)}
        found[pair["protocol"]] = expand(opening["ports"] for opening in pair["open"])
        untested[pair["protocol"]] = expand(pair["not_tested"])
    return seconds, found, untested


def nmap(program, scenario, rules, words, limit, result):
    result.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        subprocess.run([program, "exec", scenario, "player", "--ruleset", rules, "--", "nmap", "-n", "-Pn", "-oX", str(result), *words, "10.10.0.10"],
                       capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return limit, None
    seconds = time.monotonic() - start
    states = {}
    try:
        host = xml.parse(result).getroot().find("host")
        for extra in host.iter("extraports"):
            for reasons in extra.iter("extrareasons"):
                for part in reasons.get("ports", "").split(","):
                    if part:
                        for port in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1):
                            states[port] = extra.get("state")
        for port in host.iter("port"):
            states[int(port.get("portid"))] = port.find("state").get("state")
    except (OSError, xml.ParseError, AttributeError):
        return seconds, None
    return seconds, states


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", type=int, default=60)
    options = parser.parse_args()
    print(f"{'stopped by':<11}{'what':<36}{'seconds':>8}{'wrong':>8}{'ambiguous':>11}{'untold':>8}   of 65535 ports")
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o777)
        scenario, rules = folder / "scenario.yaml", folder / "rules.nft"
        scenario.write_text(SCENARIO)
        for round_number in range(options.rounds):
            rng = random.Random(20261127 + round_number)
            real = {protocol: set(rng.sample(range(1, 65536), 100)) for protocol in ("tcp", "udp")}
            for end, words in STOPPED_BY.items():
                rules.write_text(ruleset(real["tcp"], real["udp"], words))
                seconds, found, untested = wmlab(options.wmlab, scenario, rules)
                wrong = sum(len((found[p] ^ real[p]) - untested[p]) for p in real)
                failed = failed or wrong > 0 or any(untested.values())
                print(f"{end:<11}{'wmlab audit: TCP, UDP, both ways':<36}{seconds:>8.1f}{wrong:>8}{0:>11}{sum(map(len, untested.values())):>8}   (of twice as many)", flush=True)
                for name, protocol, scan in SCANS:
                    seconds, states = nmap(options.wmlab, scenario, rules, scan, options.limit, folder / "result.xml")
                    if states is None:
                        print(f"{end:<11}{name:<36}{seconds:>8.1f}{'-':>8}{'-':>11}{65535:>8}   ended after {options.limit} s without an answer", flush=True)
                        continue
                    ambiguous = sum(1 for state in states.values() if "|" in state)
                    wrong = sum(1 for port, state in states.items() if "|" not in state and (state in ("open", "closed")) != (port in real[protocol]))
                    print(f"{end:<11}{name:<36}{seconds:>8.1f}{wrong:>8}{ambiguous:>11}{65535 - len(states):>8}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if os.getuid() != 0:
        sys.exit("audit_nmap.py: nmap's raw scans need root")
    sys.exit(main())
