#!/usr/bin/env python3
"""Several firewalls on the way: which of them stops a stream, and which line of its rules.

    boxes.py WMLAB [--part N/M] [--only TEXT] [--keep DIR] [--suggest]

Three firewalls stand in a row; in each in turn mistakes are planted, one for each player, with the server on either side: unicast and multicast, rules that
drop, reject and reset, rules that are missing or too narrow. 60 cases: verdict, leg, cause, direction, firewall, file and line follow from what was planted.
Then asymmetric ways: the way there by one firewall and the way back by another, with rules that ask for the state, that do not, and that drop the answers
whatever their state is. `--suggest`: what --suggest writes is applied by patch(1), then every flow passes. Prints one line per case that is wrong, then `N passed, M failed`; exit 0 when none is wrong. `--part 1/3`: every third run.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

BOXES = ("near", "middle", "far")
SERVER, PLAYERS = {True: ("inside", "10.10.0.10"), False: ("outside", "10.20.0.10")}, {True: ("outside", "10.20.0"), False: ("inside", "10.10.0")}


class Case:
    """A flow of its own player. `planted`: rules in front, `left_out`: of the right rules, by what they begin with, `instead`: in their place."""

    def __init__(self, name, flow, rights, leg, cause, direction="from->to", planted=None, left_out=None, instead=None, reverse=False):
        self.name, self.flow, self.rights, self.leg, self.cause, self.direction = name, flow, rights, leg, cause, direction
        self.planted, self.left_out, self.instead, self.reverse = planted, left_out, instead, reverse


# {s} is the server, {p} the player, {g} a group. A right rule is one line.
MMS = ("ip saddr {p} ip daddr {s} tcp dport 1755 accept",)
MEDIA = "ip saddr {s} ip daddr {p} udp dport 1024-5000 accept"
MMS_UDP = MMS + (MEDIA, "ip saddr {p} ip daddr {s} udp dport 1755 accept")
HTTP = ("ip saddr {p} ip daddr {s} tcp dport 80 accept",)
MSBD = ("ip saddr {p} ip daddr {s} tcp dport 7007 accept",)
PROBE = ("ip saddr {p} ip daddr {s} udp dport 9000 accept",)
STATION = ("ip saddr {s} ip daddr {g} udp dport 8080 accept",)
CASES = (
    Case("TCP dropped", "mms-tcp", MMS, "control", "dropped", planted="ip saddr {p} ip daddr {s} tcp dport 1755 drop"),
    Case("TCP answers dropped", "mms-tcp", MMS, "control", "dropped", "to->from", planted="ip saddr {s} ip daddr {p} tcp sport 1755 drop"),
    Case("HTTP without a rule", "http", HTTP, "http", "dropped", left_out=HTTP[0]),
    Case("HTTP reset", "http", HTTP, "http", "reset", planted="ip saddr {p} ip daddr {s} tcp dport 80 reject with tcp reset"),
    Case("UDP media dropped", "mms-udp", MMS_UDP, "media", "dropped", "to->from", planted="ip saddr {s} ip daddr {p} udp dport 1024-5000 drop"),
    Case("UDP media, ports too few", "mms-udp, client_ports: 2000-5000", MMS_UDP, "media", "dropped", "to->from", left_out=MEDIA,
         instead="ip saddr {s} ip daddr {p} udp dport 1024-1999 accept"),
    Case("MSBD rejected", "msbd, source: server", MSBD, "msbd", "rejected", planted="ip saddr {p} ip daddr {s} tcp dport 7007 reject with icmpx admin-prohibited"),
    Case("UDP dropped", "probe, protocol: udp, ports: 9000", PROBE, "probe", "dropped", planted="ip saddr {p} ip daddr {s} udp dport 9000 drop"),
    Case("multicast dropped", "multicast, group: {g}, port: 8080, ttl: 8", STATION, "media", "dropped", planted="ip saddr {s} ip daddr {g} udp dport 8080 drop", reverse=True),
    Case("multicast without a rule", "multicast, group: {g}, port: 8080, ttl: 8", STATION, "media", "dropped", left_out=STATION[0], reverse=True),
)
STATE = "ct state established,related accept"


def filled(text, index, inside):
    return text.format(s=SERVER[inside][1], p=f"{PLAYERS[inside][1]}.{20 + index}", g=f"239.1.2.{1 + index}")


def ruleset(wrong, inside):
    """The text, and by case the line that decides."""
    lines = ["table inet filter {", "  chain forward {", "    type filter hook forward priority 0; policy drop;"]
    policy, decides = len(lines), {}
    if wrong:
        for index, case in enumerate(CASES):
            decides[index] = policy
            if case.planted:
                lines.append("    " + filled(case.planted, index, inside))
                decides[index] = len(lines)
    lines.append("    " + STATE)
    for index, case in enumerate(CASES):
        for rule in case.rights:
            if wrong and rule == case.left_out:
                rule = case.instead
            if rule:
                lines.append("    " + filled(rule, index, inside))
    return "\n".join(lines + ["  }", "}"]) + "\n", decides


def flow_lines(cases, inside):
    lines = []
    for index, case in enumerate(cases):
        kind, _, options = case.flow.partition(", ")
        ends = ("media", f"p{index}") if case.reverse else (f"p{index}", "media")
        options = filled(options, index, inside)
        lines.append(f"  - {{ id: f{index}, type: {kind}, from: {ends[0]}, to: {ends[1]}{', ' + options if options else ''} }}")
    return lines


def scenario(zones, firewalls, cases, inside):
    lines = ["version: 1", "zones:"] + [f"  {zone}" for zone in zones] + ["hosts:", f"  media: {{ zone: {SERVER[inside][0]}, address: {SERVER[inside][1]} }}"]
    lines += [f"  p{index}: {{ zone: {PLAYERS[inside][0]}, address: {PLAYERS[inside][1]}.{20 + index} }}" for index in range(len(cases))]
    lines += ["firewalls:"] + [f"  - {box}" for box in firewalls]
    lines += ["content: { lecture: { synthetic: audio, bitrate: 64k } }", "defaults: { deadline: 1s, play: 500ms, content: lecture }", "flows:"]
    return "\n".join(lines + flow_lines(cases, inside)) + "\n"


IN_A_ROW = ("inside: { subnet: 10.10.0.0/24 }", "one: { subnet: 10.91.0.0/24 }", "two: { subnet: 10.92.0.0/24 }", "outside: { subnet: 10.20.0.0/24 }")


class Proof:
    def __init__(self, wmlab, suggest):
        self.wmlab, self.suggest, self.passed, self.failed = wmlab, suggest, 0, 0

    def run(self, directory, text, *options):
        (directory / "scenario.yaml").write_text(text)
        done = subprocess.run([self.wmlab, "run", "scenario.yaml", "--quiet", "--report", "json:report.json", *options], cwd=directory, capture_output=True, text=True)
        if done.returncode not in (0, 1, 4):
            sys.exit(f"{directory}: exit {done.returncode}: {done.stderr}")
        return {flow["id"]: flow for flow in json.loads((directory / "report.json").read_text())["flows"]}

    def check(self, name, flow, wanted):
        rule = flow["rule"] or {}
        leg = next((leg for leg in flow["legs"] if leg["name"] == flow["leg"]), {})
        found = {"verdict": flow["verdict"], "leg": flow["leg"], "cause": flow["cause"], "direction": flow["direction"], "box": flow.get("box"),
                 "rule": f"{rule.get('box')} {rule.get('file')}:{rule.get('line')}" if rule else None, "no_state": leg.get("no_state", False),
                 "other_way": leg.get("other_way")}
        wrong = {key: (value, found[key]) for key, value in wanted.items() if found[key] != value}
        if wrong:
            self.failed += 1
            print(f"WRONG {name}: " + ", ".join(f"{key} is {got!r}, not {value!r}" for key, (value, got) in wrong.items()) + f"\n      {flow['explanation']}")
        else:
            self.passed += 1

    def in_a_row(self, directory, wrong_box, inside):
        decides = {}
        for box in BOXES:
            text, lines = ruleset(box == wrong_box, inside)
            (directory / f"{box}.nft").write_text(text)
            decides.update(lines)
        firewalls = ("{ name: near, ruleset: near.nft, zones: { inside: eth0, one: eth1 } }", "{ name: middle, ruleset: middle.nft, zones: [one, two] }",
                     "{ name: far, ruleset: far.nft, zones: { two: { interface: eth0, address: 10.92.0.77 }, outside: eth1 } }")
        flows = self.run(directory, scenario(IN_A_ROW, firewalls, CASES, inside), *(["--suggest", "fix.patch"] if self.suggest else []))
        for index, case in enumerate(CASES):
            self.check(f"{case.name}, mistake in {wrong_box}, server {SERVER[inside][0]}", flows[f"f{index}"],
                       {"verdict": "blocked", "leg": case.leg, "cause": case.cause, "direction": case.direction, "box": wrong_box, "other_way": None,
                        "rule": f"{wrong_box} {wrong_box}.nft:{decides[index]}", "no_state": False})
        if not self.suggest:
            return
        patched = subprocess.run(["patch", "-s", "-p0", "-i", "fix.patch"], cwd=directory, capture_output=True, text=True)
        flows = self.run(directory, scenario(IN_A_ROW, firewalls, CASES, inside))
        for index, case in enumerate(CASES):
            self.check(f"{case.name}, mistake in {wrong_box} mended, server {SERVER[inside][0]} {patched.stdout}", flows[f"f{index}"], {"verdict": "pass"})

    def two_ways(self, directory, inside):
        """The players' way there is by `there`, the server's answers come by `back`."""
        there, back = (("up", "down") if inside else ("down", "up"))
        zones = ("inside: { subnet: 10.10.0.0/24, gateway: 10.10.0.2 }", "outside: { subnet: 10.20.0.0/24 }")
        firewalls = ("{ name: up, ruleset: up.nft, zones: { inside: { interface: eth0, address: 10.10.0.1 }, outside: eth1 } }",
                     "{ name: down, ruleset: down.nft, zones: { inside: { interface: eth0, address: 10.10.0.2 }, outside: { interface: eth1, address: 10.20.0.2 } } }")
        player = [f"{PLAYERS[inside][1]}.{20 + index}" for index in range(4)]
        server = SERVER[inside][1]
        head = ["table inet filter {", "  chain forward {", "    type filter hook forward priority 0; policy drop;"]
        first = [f"ip daddr {server} tcp dport 1755 accept"] + [f"ip saddr {server} tcp sport 1755 ip daddr {player[1]} accept"]
        rules = {there: head + ["    " + rule for rule in first],
                 back: head + [f"    ip saddr {server} ip daddr {player[2]} tcp sport 1755 drop",  # line 4, whatever the state is
                               "    ct state established,related accept", f"    ip saddr {server} ip daddr {player[1]} tcp sport 1755 accept",
                               f"    ip saddr {server} ip daddr {player[3]} ct state invalid drop",  # line 7
                               f"    ip daddr {server} tcp dport 1755 accept"]}
        for box, lines in rules.items():
            (directory / f"{box}.nft").write_text("\n".join(lines + ["  }", "}"]) + "\n")
        cases = [Case(name, "mms-tcp", (), "control", "dropped") for name in ("asks for the state", "does not ask", "dropped whatever the state", "invalid dropped")]
        flows = self.run(directory, scenario(zones, firewalls, cases, inside))
        stopped = {"verdict": "blocked", "leg": "control", "cause": "dropped", "direction": "to->from", "box": back, "other_way": there}
        wanted = ({**stopped, "no_state": True, "rule": f"{back} {back}.nft:3"}, {"verdict": "pass"},
                  {**stopped, "no_state": False, "rule": f"{back} {back}.nft:4"}, {**stopped, "no_state": True, "rule": f"{back} {back}.nft:7"})
        for index, case in enumerate(cases):
            self.check(f"two ways, {case.name}, server {SERVER[inside][0]}", flows[f"f{index}"], wanted[index])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wmlab")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    parser.add_argument("--suggest", action="store_true")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    proof = Proof(str(pathlib.Path(options.wmlab).resolve()), options.suggest)
    runs = [(f"{box}-{SERVER[inside][0]}", proof.in_a_row, (box, inside)) for inside in (True, False) for box in BOXES]
    runs += [(f"ways-{SERVER[inside][0]}", proof.two_ways, (inside,)) for inside in (True, False)]
    with tempfile.TemporaryDirectory() as scratch:
        for name, run, arguments in [one for index, one in enumerate(runs) if index % parts == part - 1 and options.only in one[0]]:
            directory = pathlib.Path(options.keep or scratch) / name
            directory.mkdir(parents=True)
            run(directory, *arguments)
    print(f"{proof.passed} passed, {proof.failed} failed")
    return 1 if proof.failed or not proof.passed else 0


if __name__ == "__main__":
    sys.exit(main())
