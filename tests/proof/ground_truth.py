#!/usr/bin/env python3
"""The ground-truth matrix: for every flow type, leg, direction and firewall action a host of its own meets exactly that action.

    ground_truth.py WMLAB [--batch N] [--only TEXT] [--keep DIR]

What must be found follows from the action alone (expectation(), below), not from the program under test. Prints one line per case that
is wrong, then `N passed, M failed`; exit 0 when none is wrong.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ICMP = ["net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited", "host-prohibited", "admin-prohibited"]
ACTIONS = ["drop"] + [f"reject with icmp type {name}" for name in ICMP] + ["reject with tcp reset"]

# Flow type -> its options and legs: (leg, protocol, who sends the first packet, destination port match).
FLOWS = {
    "mms-tcp": ("", [("control", "tcp", "from", "1755")]),
    "mms-udp": ("", [("control", "tcp", "from", "1755"), ("media", "udp", "to", "1024-5000"), ("resend", "udp", "from", "1755")]),
    "probe tcp": ("protocol: tcp, ports: 4242", [("probe", "tcp", "from", "4242")]),
    "probe udp": ("protocol: udp, ports: 4242", [("probe", "udp", "from", "4242")]),
    "http": ("", [("http", "tcp", "from", "80")]),
    "msbd": ("source: server", [("msbd", "tcp", "from", "7007")]),
    "http-distribution": ("source: server", [("http", "tcp", "from", "80")]),
    "dcom tcp": ("reserved_ports: 3001-3200", [("mapper", "tcp", "from", "135"), ("object", "tcp", "from", "3001-3200")]),
    "dcom udp": ("transport: udp, reserved_ports: 3001-3200", [("mapper", "udp", "from", "135"), ("object", "udp", "from", "3001-3200")]),
}
OPTIONAL = {"resend"}


class Case:
    """One host outside (or inside), one flow, one action on one leg in one direction."""

    def __init__(self, number, kind, leg, action, direction, server_inside):
        self.kind, self.leg, self.action, self.direction = kind, leg, action, direction
        self.server_inside = server_inside
        self.number = number
        self.id = f"c{number}"

    def name(self):
        where = "server inside" if self.server_inside else "server outside"
        return f"{self.kind}, {self.leg[0]} leg, {self.action}, {self.direction}, {where}"

    def expectation(self):
        """(verdict, leg, causes) that are right."""
        leg, protocol, sender, _ = self.leg
        if self.action == "accept":
            return "pass", None, {None}
        verdict = "degraded" if leg in OPTIONAL else "blocked"
        if self.direction == "answers":
            # The sender of the answer is told, not the one who waits for it: to that end it is silence.
            return verdict, leg, {"dropped", "rejected", "reset"} if self.action != "drop" else {"dropped"}
        if self.action == "drop":
            return verdict, leg, {"dropped"}
        if self.action == "reject with tcp reset":
            return verdict, leg, {"reset"}
        return verdict, leg, {"rejected"}

    def rule(self, server, host):
        leg, protocol, sender, port = self.leg
        first = (host, server) if sender == "from" else (server, host)
        if self.direction == "answers":
            return f"ip saddr {first[1]} ip daddr {first[0]} {protocol} sport {port} {self.action}"
        return f"ip saddr {first[0]} ip daddr {first[1]} {protocol} dport {port} {self.action}"


def cases():
    number = 0
    for server_inside in (True, False):
        for kind, (_, legs) in FLOWS.items():
            for leg in legs:
                for direction in ("first packets", "answers"):
                    # Media, resend requests and UDP probes are one-way: an answer to them is a leg of its own.
                    if direction == "answers" and (leg[0] in ("media", "resend") or leg[:2] == ("probe", "udp")):
                        continue
                    for action in ["accept"] + ACTIONS:
                        if action.endswith("tcp reset") and leg[1] == "udp":
                            continue
                        number += 1
                        yield Case(number, kind, leg, action, direction, server_inside)


def build(batch, directory):
    """One scenario and one ruleset for a batch of cases, each case on a host of its own."""
    side = {True: "inside", False: "outside"}
    lines = ["version: 1", "name: ground truth", "zones:", "  inside: { subnet: 10.10.0.0/24, interface: fw-in }",
             "  outside: { subnet: 10.20.0.0/24, interface: fw-out }", "hosts:",
             "  server-in: { zone: inside, address: 10.10.0.10 }", "  server-out: { zone: outside, address: 10.20.0.10 }"]
    rules = []
    flows = []
    for i, case in enumerate(batch):
        host_net = "10.20.0" if case.server_inside else "10.10.0"
        host, server = f"{host_net}.{20 + i}", "10.10.0.10" if case.server_inside else "10.20.0.10"
        lines.append(f"  h{i}: {{ zone: {side[not case.server_inside]}, address: {host} }}")
        options = FLOWS[case.kind][0]
        to = "server-in" if case.server_inside else "server-out"
        flows.append(f"  - {{ id: {case.id}, type: {case.kind.split()[0]}, from: h{i}, to: {to}{', ' + options if options else ''} }}")
        rules.append("    " + case.rule(server, host))
    lines += ["firewall: { ruleset: rules.nft }", "content: { lecture: { synthetic: audio, bitrate: 64k } }",
              "defaults: { deadline: 1s, play: 500ms, content: lecture }", "flows:"] + flows
    (directory / "scenario.yaml").write_text("\n".join(lines) + "\n")
    (directory / "rules.nft").write_text("table inet filter {\n  chain forward {\n    type filter hook forward priority filter; policy accept;\n"
                                         + "\n".join(rules) + "\n  }\n}\n")


def run(wmlab, batch, keep):
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(keep or temporary)
        directory.mkdir(parents=True, exist_ok=True)
        build(batch, directory)
        done = subprocess.run([wmlab, "run", directory / "scenario.yaml", "--report", "json:-", "--quiet"], capture_output=True, text=True, timeout=300)
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            return [(case, f"no report, exit {done.returncode}: {done.stderr.strip()[-500:]}") for case in batch]
    found = {flow["id"]: flow for flow in report["flows"]}
    wrong = []
    for case in batch:
        flow = found.get(case.id)
        verdict, leg, causes = case.expectation()
        if not flow:
            wrong.append((case, "no such flow in the report"))
        elif flow["verdict"] != verdict or (leg and flow.get("leg") != leg) or flow.get("cause") not in causes:
            wrong.append((case, f"expected {verdict} {leg} {sorted(map(str, causes))}, got {flow['verdict']} {flow.get('leg')} {flow.get('cause')}: "
                                f"{flow.get('explanation')}"))
        elif verdict in ("blocked", "degraded") and flow.get("rule") and flow["rule"].get("line"):
            line = 4 + batch.index(case)
            if flow["rule"]["line"] != line:
                wrong.append((case, f"expected the rule of line {line}, got {flow['rule']}"))
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--batch", type=int, default=30)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    chosen = [case for case in cases() if arguments.only in case.name()]
    failed = 0
    for start in range(0, len(chosen), arguments.batch):
        batch = chosen[start:start + arguments.batch]
        for case, why in run(arguments.wmlab, batch, arguments.keep and f"{arguments.keep}/{start}"):
            failed += 1
            print(f"WRONG {case.name()}: {why}")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
