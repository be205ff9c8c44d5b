#!/usr/bin/env python3
"""The audit against rulesets with 200 random holes: TCP and UDP, both directions, single ports and ranges, in sets and alone, by interface,
by address and by neither, some behind rules that drop. What each ruleset opens between any two hosts, and by which line, is worked out here,
and every port is compared: every hole found, none invented, none untested, and the rule that opens each the right one.

    audit_holes.py WMLAB [--runs N] [--busy] [--seed N] [--as root|user|both] [--others N]

Both: every run as root and again as an ordinary user. Busy: one endless loop for each processor beside it. Others: so many rules for other
hosts between them, which the audit leaves out of its sweep.
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

HOSTS = {"media": ("inside", "10.10.0.10"), "player": ("outside", "10.20.0.10"), "studio": ("outside", "10.20.0.11")}
INTERFACES = {"inside": "fw-in", "outside": "fw-out"}
SCENARIO = """version: 1
name: holes
zones:
  inside:  { subnet: 10.10.0.0/24, interface: fw-in }
  outside: { subnet: 10.20.0.0/24, interface: fw-out }
hosts:
""" + "".join(f"  {name}: {{ zone: {zone}, address: {address} }}\n" for name, (zone, address) in HOSTS.items()) + """flows:
  - { id: one, type: probe, from: player, to: media, protocol: tcp, ports: [80] }
  - { id: two, type: probe, from: media, to: studio, protocol: udp, ports: [80] }
"""
NOBODY = 65534


class Rule:
    """Which packets, and what becomes of them."""

    def __init__(self, rng, holes, drops):
        self.drops = drops
        self.protocol = rng.choice(["tcp", "udp"])
        self.zone = rng.choice([None, "inside", "outside"])       # by interface
        self.source = rng.choice([None, None, "net", *HOSTS])     # by address
        self.target = rng.choice([None, None, *HOSTS])
        self.ranges = []
        for _ in range(holes):
            first = rng.randint(1, 65535)
            self.ranges.append((first, min(65535, first + rng.choice([0, 0, 0, 1, 7, 100, 999]))))
        self.ranges.sort()
        merged = []
        for first, last in self.ranges:  # sets hold no overlapping ranges
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        self.ranges = merged
        self.net = rng.choice(list(INTERFACES))

    def matches(self, source, target, protocol):
        zone = lambda host: "inside" if host.endswith("-inside") else "outside" if host.endswith("-outside") else HOSTS[host][0]
        if protocol != self.protocol or (self.zone and zone(source) != self.zone):
            return False
        if self.source == "net" and zone(source) != self.net:
            return False
        if self.source in HOSTS and self.source != source:
            return False
        return self.target is None or self.target == target


class Other:
    """A rule for hosts that are none of the lab's."""

    def __init__(self, rng, dialect):
        address, port = f"192.0.2.{rng.randint(1, 254)}", rng.randint(1, 65000)
        ports, drops, source = (port, port + rng.choice([0, 500])), rng.random() < 0.5, rng.random() < 0.5
        self.ranges = [ports]
        if dialect == "nft":
            self.line = f"  ip {'saddr' if source else 'daddr'} {address} {rng.choice(['tcp', 'udp'])} dport {ports[0]}-{ports[1]} {'drop' if drops else 'accept'}"
        else:
            self.line = f"-A FORWARD -{'s' if source else 'd'} {address}/32 -p {rng.choice(['tcp', 'udp'])} --dport {ports[0]}:{ports[1]} -j {'DROP' if drops else 'ACCEPT'}"

    def matches(self, source, target, protocol):
        return False


def subnet(zone):
    return "10.10.0.0/24" if zone == "inside" else "10.20.0.0/24"


def nft(rules, rng):
    sets, lines = [], []
    for number, rule in enumerate(rules):
        elements = ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in rule.ranges)
        ports = "{ " + elements + " }"
        if len(rule.ranges) == 1 and rng.random() < 0.8:
            ports = elements
        elif rng.random() < 0.4:
            sets.append(f" set s{number} {{\n  type inet_service\n  flags interval\n  elements = {{ {elements} }}\n }}\n")
            ports = f"@s{number}"
        words = []
        if rule.zone:
            words.append(f'iifname "{INTERFACES[rule.zone]}"')
        if rule.source:
            words.append("ip saddr " + (subnet(rule.net) if rule.source == "net" else HOSTS[rule.source][1]))
        if rule.target:
            words.append("ip daddr " + HOSTS[rule.target][1])
        words.append(f"{rule.protocol} dport {ports}")
        words.append("drop" if rule.drops else "accept")
        lines.append("  " + " ".join(words))
    head = "table inet filter {\n" + "".join(sets)
    head += " chain forward {\n  type filter hook forward priority filter; policy drop;\n"
    if rng.random() < 0.6:
        head += "  ct state established,related accept\n"
    tail = rng.choice(["", "  reject\n", "  meta l4proto tcp reject with tcp reset\n", "  counter drop\n"])
    return head, lines, tail + " }\n}\n"


def iptables(rules, rng):
    lines = []
    for rule in rules:
        for at in range(0, len(rule.ranges), 7):  # multiport takes 15 ports, a range is two
            ports = ",".join(f"{a}:{b}" if a != b else str(a) for a, b in rule.ranges[at:at + 7])
            words = ["-A FORWARD"]
            if rule.source:
                words.append("-s " + (subnet(rule.net) if rule.source == "net" else HOSTS[rule.source][1] + "/32"))
            if rule.target:
                words.append(f"-d {HOSTS[rule.target][1]}/32")
            if rule.zone:
                words.append(f"-i {INTERFACES[rule.zone]}")
            words.append(f"-p {rule.protocol} -m multiport --dports {ports} -j {'DROP' if rule.drops else 'ACCEPT'}")
            lines.append((" ".join(words), rule, rule.ranges[at:at + 7]))
    head = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    if rng.random() < 0.6:
        head += "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    return head, lines, "COMMIT\n"


def build(rng, holes, others):
    """The ruleset's text, and its rules in order as (line, rule, ranges)."""
    rules, left = [], holes
    while left:
        count = min(left, rng.choice([1, 1, 1, 2, 5, 20]))
        rules.append(Rule(rng, count, drops=False))
        left -= count
    for _ in range(rng.randint(0, 6)):
        rules.insert(rng.randrange(len(rules)), Rule(rng, rng.choice([1, 3]), drops=True))
    if rng.random() < 0.25:
        head, lines, tail = iptables(rules, rng)
    else:
        head, plain, tail = nft(rules, rng)
        lines = [(line, rule, rule.ranges) for line, rule in zip(plain, rules)]
    for _ in range(others):
        other = Other(rng, "iptables" if head.startswith("*") else "nft")
        lines.insert(rng.randrange(len(lines) + 1), (other.line, other, other.ranges))
    first = head.count("\n") + 1
    text = head + "".join(line + "\n" for line, _, _ in lines) + tail
    return text, [(first + number, rule, ranges) for number, (_, rule, ranges) in enumerate(lines)]


def truth(ordered, source, target, protocol):
    """By port, the line that opens it."""
    line_of = {}
    for line, rule, ranges in ordered:
        if rule.matches(source, target, protocol):
            for first, last in ranges:
                for port in range(first, last + 1):
                    line_of.setdefault(port, 0 if rule.drops else line)
    return {port: line for port, line in line_of.items() if line}


def ports_of(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def check(report, ordered):
    """Mistakes, as sentences."""
    wrong, open_ports = [], 0
    for pair in report["pairs"]:
        name = f"{pair['from']} -> {pair['to']} {pair['protocol']}"
        real = truth(ordered, pair["from"], pair["to"], pair["protocol"])
        found = {}
        merged_before = None
        for opening in pair["open"]:
            ports = ports_of(opening["ports"])
            key = (opening.get("rule", {}).get("line"), opening["needed"])
            if merged_before and merged_before == (ports.start - 1, key):
                wrong.append(f"{name}: {opening['ports']} is not merged with what is before it")
            merged_before = (ports.stop - 1, key)
            for port in ports:
                found[port] = opening.get("rule", {}).get("line")
        open_ports += len(found)
        missed, invented = sorted(set(real) - set(found)), sorted(set(found) - set(real))
        other = [port for port in real if port in found and found[port] != real[port]]
        if missed:
            wrong.append(f"{name}: {len(missed)} ports missed, {missed[:5]}")
        if invented:
            wrong.append(f"{name}: {len(invented)} ports invented, {invented[:5]}")
        if other:
            wrong.append(f"{name}: {len(other)} ports with another rule, {[(p, found[p], real[p]) for p in other[:5]]}")
        if pair["not_tested"]:
            wrong.append(f"{name}: not tested {pair['not_tested'][:5]} {pair.get('doubts')}")
    return wrong, open_ports


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--holes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--others", type=int, default=0)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--as", dest="who", choices=["root", "user", "both"], default="both")
    options = parser.parse_args()
    whos = ["root", "user"] if options.who == "both" and os.getuid() == 0 else [options.who if os.getuid() == 0 else "user"]
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() if options.busy else 0)]
    right, total, times = 0, 0, []
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            folder.chmod(0o755)
            (folder / "scenario.yaml").write_text(SCENARIO)
            for run in range(options.runs):
                text, ordered = build(random.Random(options.seed + run), options.holes, options.others)
                (folder / "rules").write_text(text)
                for who in whos:
                    become = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if who == "user" and os.getuid() == 0 else {}
                    start = time.monotonic()
                    done = subprocess.run([options.wmlab, "audit", folder / "scenario.yaml", "--ruleset", folder / "rules", "--report", "json"],
                                          capture_output=True, text=True, timeout=600, **become)
                    seconds = time.monotonic() - start
                    times.append(seconds)
                    total += 1
                    try:
                        report = json.loads(done.stdout)
                        wrong, open_ports = check(report, ordered)
                    except ValueError:
                        wrong, open_ports = [f"exit {done.returncode}: {done.stderr[-500:]}"], 0
                    right += not wrong
                    print(f"run {run + 1:2} as {who}: {'exact' if not wrong else 'WRONG'}, {open_ports} open ports in "
                          f"{len(report['pairs'])} pairs and protocols, {seconds:.1f} s", flush=True)
                    for sentence in wrong:
                        print("  " + sentence)
                    if wrong:
                        pathlib.Path(f"/tmp/wmlab-holes-{options.seed + run}.rules").write_text(text)
    finally:
        for process in load:
            process.kill()
    print(f"{right} of {total} exact{' with every processor busy' if options.busy else ''}; "
          f"{min(times):.1f}/{sorted(times)[len(times) // 2]:.1f}/{max(times):.1f} s")
    return 0 if right == total else 1


if __name__ == "__main__":
    sys.exit(main())
