#!/usr/bin/env python3
"""Several firewalls on the way: what a change of one of them opens and closes there, and what is open through it.

    boxes_change.py WMLAB [--count N] [--seed N] [--audits N]

Firewalls in a row, or two side by side; in one of them, picked by chance, a rule is added (or taken away) that lets one protocol and a range of ports through:
from a zone, from an interface, from anywhere, to a zone. `wmlab audit --box NAME --baseline` must say through which firewall, from and to which zones and to which
ports, by which line, and nothing else; where packets between these zones do not pass that firewall, nothing. `--audits`: of so many `wmlab audit --box NAME` by itself
must say the same of the ports between the hosts. Prints a line for each that is wrong, then `N passed, M failed`.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile


class World:
    """`boxes`: name -> {zone: interface}; `behind`: name -> {zone: the zone of the side by which it is reached}."""

    def __init__(self, zones, boxes, gateways=None, addresses=None):
        self.zones, self.boxes, self.gateways, self.addresses = zones, boxes, gateways or {}, addresses or {}

    def net(self, zone):
        return f"10.{self.zones.index(zone) + 10}.0"

    def behind(self, box):
        """Each zone by the side that leads there: in a row all zones on one side of the firewall."""
        sides = sorted(self.boxes[box], key=self.zones.index)
        near, far = self.zones.index(sides[0]), self.zones.index(sides[-1])
        return {zone: sides[0] if index <= near else sides[-1] for index, zone in enumerate(self.zones) if index <= near or index >= far}

    def text(self):
        lines = ["version: 1", "zones:"]
        lines += [f"  {zone}: {{ subnet: {self.net(zone)}.0/24{', gateway: ' + self.gateways[zone] if zone in self.gateways else ''} }}" for zone in self.zones]
        lines += ["hosts:"] + [f"  h-{zone}: {{ zone: {zone}, address: {self.net(zone)}.10 }}" for zone in self.zones] + ["firewalls:"]
        for box, sides in self.boxes.items():
            given = [f"{zone}: {{ interface: {interface}{', address: ' + self.addresses[box][zone] if box in self.addresses else ''} }}" for zone, interface in sides.items()]
            lines.append(f"  - {{ name: {box}, ruleset: {box}.nft, zones: {{ {', '.join(given)} }} }}")
        first, last = self.zones[0], self.zones[-1]
        lines += ["flows:", f"  - {{ id: f, type: probe, from: h-{first}, to: h-{last}, protocol: tcp, ports: 9 }}"]
        return "\n".join(lines) + "\n"


IN_A_ROW = World(["office", "wan", "backbone", "servers"], {"near": {"office": "eth0", "wan": "eth1"}, "core": {"wan": "ens1", "backbone": "ens2"}, "far": {"backbone": "lan", "servers": "dmz"}})
BACKWARDS = World(["servers", "backbone", "wan", "office"], {"far": {"office": "lan0", "wan": "lan1"}, "core": {"wan": "eth0", "backbone": "eth1"}, "near": {"backbone": "eth0", "servers": "eth1"}})
TWO = World(["left", "middle", "right"], {"a": {"left": "l", "middle": "m"}, "b": {"middle": "m", "right": "r"}})
# What goes from inside passes `up`, what comes from outside passes `down`; who wants to may send to the other.
TWO_WAYS = World(["inside", "outside"], {"up": {"inside": "eth0", "outside": "eth1"}, "down": {"inside": "eth0", "outside": "eth1"}},
                 {"inside": "10.10.0.2", "outside": "10.11.0.1"}, {"up": {"inside": "10.10.0.2", "outside": "10.11.0.2"}, "down": {"inside": "10.10.0.1", "outside": "10.11.0.1"}})
STATE = "ct state established,related accept"


def passes(world, box, source, destination):
    behind = world.behind(box)
    return behind[source] != behind[destination]


def ruleset(rule):
    lines = ["table inet filter {", "  chain forward {", "    type filter hook forward priority 0; policy drop;", f"    {STATE}"] + ([f"    {rule}"] if rule else [])
    return "\n".join(lines + ["  }", "}"]) + "\n"


class Proof:
    def __init__(self, wmlab):
        self.wmlab, self.passed, self.failed = wmlab, 0, 0

    def run(self, directory, *arguments):
        report = directory / "report.json"
        report.unlink(missing_ok=True)
        done = subprocess.run([self.wmlab, "audit", "scenario.yaml", "--quiet", "--report", "json:report.json", *arguments], cwd=directory, capture_output=True, text=True)
        if done.returncode not in (0, 1) or not report.exists():
            sys.exit(f"{directory}: exit {done.returncode}: {done.stderr}")
        return json.loads(report.read_text())

    def wrong(self, name, words):
        self.failed += 1
        print(f"WRONG {name}: {words}")

    def change(self, directory, chance, audit):
        world = chance.choice((IN_A_ROW, BACKWARDS, TWO, TWO_WAYS))
        box = chance.choice(list(world.boxes))
        protocol, first = chance.choice(("tcp", "udp")), chance.randrange(2000, 60000)
        last = first + chance.choice((0, 1, 500))
        source, destination = chance.choice(world.zones + [None]), chance.choice(world.zones)
        interface = chance.choice(list(world.boxes[box].values()) + [None, None])
        words = ([f'iifname "{interface}"'] if interface else []) + ([f"ip saddr {world.net(source)}.0/24"] if source else []) + [f"ip daddr {world.net(destination)}.0/24"]
        rule = " ".join(words + [f"{protocol} dport {first}-{last} accept"])
        came_in = {zone: world.boxes[box][zone] if zone in world.boxes[box] else world.boxes[box][world.behind(box)[zone]] for zone in world.zones}
        wanted = {(zone, destination) for zone in world.zones
                  if zone != destination and source in (None, zone) and interface in (None, came_in[zone]) and passes(world, box, zone, destination)}
        name = f"{'row' if world is IN_A_ROW else 'backwards' if world is BACKWARDS else 'two' if world is TWO else 'two ways'}, {box}: {rule}"
        for each in world.boxes:
            (directory / f"{each}.nft").write_text(ruleset(None))
        (directory / "with.nft").write_text(ruleset(rule))
        (directory / "scenario.yaml").write_text(world.text())
        opens = chance.random() < 0.7
        files = ["--ruleset", "with.nft", "--baseline", f"{box}.nft"] if opens else ["--ruleset", f"{box}.nft", "--baseline", "with.nft"]
        told = self.run(directory, "--box", box, *files)["baseline"]
        rows, others = (told["opened"], told["closed"]) if opens else (told["closed"], told["opened"])
        found = {(row["from_zone"], row["to_zone"]) for row in rows}
        text = f"{first}-{last}" if first != last else str(first)
        bad = [row for row in rows if row["box"] != box or row["protocol"] != protocol or row["ports"] != [text] or (row["rule"] or {}).get("line") != 5 or row["family"] != "ipv4"]
        if found != wanted or bad or others:
            self.wrong(name, f"between {sorted(found)}, not {sorted(wanted)}" if found != wanted else f"{bad or others}")
        else:
            self.passed += 1
        if audit:
            pairs = self.run(directory, "--box", box, "--ruleset", "with.nft")["pairs"]
            open_between = {(pair["from_zone"], pair["to_zone"]) for pair in pairs for opening in pair["open"] if pair["protocol"] == protocol and opening["ports"] == text}
            more = [pair for pair in pairs for opening in pair["open"] if pair["protocol"] != protocol or opening["ports"] != text]
            used = {(one, other) for one, other in wanted if other in (world.zones[0], world.zones[-1])}  # to hosts that take part in a flow
            if open_between != used or more:
                self.wrong("audit, " + name, f"between {sorted(open_between)}, not {sorted(used)}" if open_between != used else f"{more}")
            else:
                self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wmlab")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--audits", type=int, default=10)
    options = parser.parse_args()
    proof = Proof(str(pathlib.Path(options.wmlab).resolve()))
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.count):
            directory = pathlib.Path(scratch) / str(number)
            directory.mkdir()
            proof.change(directory, random.Random(f"{options.seed} {number}"), number < options.audits)
    print(f"{proof.passed} passed, {proof.failed} failed")
    return 1 if proof.failed or not proof.passed else 0


if __name__ == "__main__":
    sys.exit(main())
