#!/usr/bin/env python3
"""The ground-truth matrix: for every flow type, leg, direction and side of the firewall, a host of its own meets exactly one action of it.

    ground_truth.py WMLAB [--part N/M] [--batch N] [--only TEXT] [--busy] [--list] [--keep DIR]

What must be found (verdict, leg, cause, direction, ICMP message, rule with file and line) follows from the action, the protocol and the specifications
alone: the functions that make an action's rules say it beside them. Nothing is taken from the program under test. Prints one line per case
that is wrong, then `N passed, M failed`; exit 0 when none is wrong. `--part 2/5` runs every fifth case, `--busy` keeps all cores busy meanwhile.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ICMP = {"net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "net-prohibited": 9, "host-prohibited": 10,
        "admin-prohibited": 13}


@dataclasses.dataclass(frozen=True)
class Leg:
    name: str
    protocol: str
    sender: str  # of the first packet: from, to, proxy
    receiver: str
    port: str  # destination, as nft writes it; "own": a port that only this case uses
    one_way: bool = False  # nothing is answered on this leg
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Flow:
    """A flow type. `host` is the end that the case's own host is; the other one is shared by all cases."""
    kind: str
    options: str
    legs: tuple
    host: str = "from"
    other: str = "server"  # server, published (a server that is also known by another address), studio (an encoder)

    @property
    def type(self):
        return self.kind.split()[0]


CONTROL, MEDIA = Leg("control", "tcp", "from", "to", "1755"), Leg("media", "udp", "to", "from", "1024-5000", one_way=True)
RESEND = Leg("resend", "udp", "from", "to", "1755", one_way=True, optional=True)
RANGE = "reserved_ports: 3001-3200"


def dcom(protocol):
    return Leg("mapper", protocol, "from", "to", "135"), Leg("object", protocol, "from", "to", "3001-3200")


FLOWS = [
    Flow("mms-tcp", "", (CONTROL,)),
    Flow("mms-udp", "", (CONTROL, MEDIA, RESEND)),
    Flow("http", "", (Leg("http", "tcp", "from", "to", "80"),)),
    Flow("http by proxy", "proxy: {{ host: proxy, port: 3128 }}, port: {own}", (Leg("proxy", "tcp", "from", "proxy", "3128"), Leg("http", "tcp", "proxy", "to", "own"))),
    Flow("mms-auto", "", (CONTROL, MEDIA, Leg("http", "tcp", "from", "to", "80"))),
    Flow("msbd server", "source: server", (Leg("msbd", "tcp", "from", "to", "7007"),)),
    Flow("msbd fallback", "source: server, port: fallback", (Leg("msbd", "tcp", "from", "to", "1024-5000"),)),
    Flow("msbd encoder", "source: encoder", (Leg("msbd", "tcp", "from", "to", "7007"),), other="studio"),
    Flow("http-distribution server", "source: server", (Leg("http", "tcp", "from", "to", "80"),)),
    Flow("http-distribution encoder", "source: encoder", (Leg("http", "tcp", "from", "to", "80"),), other="studio"),
    Flow("multicast", "group: {group}, port: 8080", (Leg("join", "igmp", "to", "group", ""), Leg("media", "udp", "from", "group", "8080", one_way=True)), host="to"),
    Flow("dcom tcp", RANGE, dcom("tcp")),
    Flow("dcom udp", "transport: udp, " + RANGE, dcom("udp")),
    Flow("encoder-alias", "alias: {id}, " + RANGE, dcom("tcp") + (Leg("msbd", "tcp", "to", "from", "7007"),)),
    Flow("probe tcp", "protocol: tcp, ports: {own}", (Leg("probe", "tcp", "from", "to", "own"),)),
    Flow("probe udp", "protocol: udp, ports: {own}", (Leg("probe", "udp", "from", "to", "own", one_way=True),)),
]

INSIDE, OUTSIDE, MIDDLE = "10.10.0", "10.20.0", "10.30.0"
PUBLISHED = {True: "198.51.100.5", False: "198.51.100.6"}  # of the published server, inside and outside


@dataclasses.dataclass
class Case:
    flow: Flow
    leg: Leg
    action: str
    answers: bool  # the action is for what comes back on the leg
    server_inside: bool
    number: int = 0
    index: int = 0  # within its batch
    play: str = "500ms"

    def name(self):
        way = "answers" if self.answers else "first packets"
        return f"{self.flow.kind}, {self.leg.name} leg, {self.action}, {way}, server {'inside' if self.server_inside else 'outside'}"

    # --- addresses ---
    def own_port(self):
        return str(10000 + self.index)

    def group(self):
        return f"239.1.{1 if self.server_inside else 2}.{1 + self.index}"

    def address(self, role):
        host_net, other_net = (OUTSIDE, INSIDE) if self.server_inside else (INSIDE, OUTSIDE)
        if role == "proxy":
            return MIDDLE + ".10"
        if role == "group":
            return self.group()
        if role == self.flow.host:
            return f"{host_net}.{20 + self.index}"
        return other_net + {"server": ".10", "published": ".11", "studio": ".12"}[self.other()]

    def other(self):
        return "published" if self.action == "dnat published" else self.flow.other

    def port(self):
        return self.own_port() if self.leg.port == "own" else self.leg.port

    def way(self):
        ends = (self.leg.receiver, self.leg.sender) if self.answers else (self.leg.sender, self.leg.receiver)
        return "->".join("to" if end == "group" and self.leg.name == "media" else end for end in ends)

    def match(self, answers=None):
        answers = self.answers if answers is None else answers
        there, back = self.address(self.leg.sender), self.address(self.leg.receiver)
        if answers:
            there, back = back, there
        port = "sport" if answers else "dport"
        return f"ip saddr {there} ip daddr {back} {self.leg.protocol} {port} {self.port()}"

    # --- what the firewall does, and what must be found ---
    def made(self):
        return ACTIONS[self.action.split(":")[0]](self)

    def blocked(self, cause, **more):
        """What must be found when this leg is stopped for good."""
        if self.flow.type == "mms-auto":
            return self.rolled_over(cause)
        verdict = "degraded" if self.leg.optional else "blocked"
        return dict(verdict=verdict, leg=self.leg.name, cause=cause, direction=self.way(), **more)

    def rolled_over(self, cause):
        """The player's rollover goes on with the next transport: UDP, TCP, HTTP."""
        transport = {"control": "http", "media": "tcp", "http": "udp"}[self.leg.name]
        return dict(verdict="pass", leg=None, cause=None, transport=transport, attempt=None if self.leg.name == "http" else (self.leg.name, cause))


def accept(case):
    return {"forward": [(case.match() + " accept", True)]}, dict(verdict="pass", leg=None, cause=None, passing=not case.answers)


def drop(case):
    return {"forward": [(case.match() + " drop", True)]}, case.blocked("dropped")


def chain(case):
    """A chain of its own, which drops what it gets."""
    name = f"c{case.index}"
    return ({"chains": [(f"chain {name} {{", False), ("  counter", False), ("  drop", True), ("}", False)], "forward": [(f"{case.match()} jump {name}", False)]},
            case.blocked("dropped"))


def in_set(case):
    name = f"s{case.index}"
    source = case.address(case.leg.receiver if case.answers else case.leg.sender)
    return ({"chains": [(f"set {name} {{ type ipv4_addr; flags interval; elements = {{ {source} }}; }}", False)],
             "forward": [(case.match().replace(f"ip saddr {source}", f"ip saddr @{name}") + " log prefix \"x\" drop", True)]}, case.blocked("dropped"))


def reject(case):
    kind = case.action.split(":")[1]
    if case.leg.receiver == "group":  # nobody is told of a multicast by ICMP (RFC 1122, 3.2.2)
        return {"forward": [(f"{case.match()} reject with icmp type {kind}", True)]}, case.blocked("dropped")
    return {"forward": [(f"{case.match()} reject with icmp type {kind}", True)]}, case.blocked("rejected", icmp=ICMP[kind])


def reset(case):
    return {"forward": [(case.match() + " reject with tcp reset", True)]}, case.blocked("reset")


def cut(case):
    """The first packets pass, then nothing: the handshake's SYN and ACK, or SYN-ACK; of media the first three."""
    burst = 3 if case.leg.protocol == "udp" else 1 if case.answers else 2
    rules = {"forward": [(f"{case.match()} limit rate over 1/minute burst {burst} packets drop", True)]}
    if case.flow.type == "multicast":  # nobody notices: no session ends for it
        return rules, dict(verdict="degraded", leg="media", cause="starved", direction=case.way())
    return rules, case.blocked("starved")


def rate(case):
    """A part of the datagrams passes, all the time."""
    return ({"forward": [(f"{case.match()} limit rate over 5/second burst 1 packets drop", True)]},
            dict(verdict="degraded", leg="media", cause="dropped", direction=case.way()))


def timeout(case):
    """The firewall forgets the connection while it is idle; what the player then sends belongs to none."""
    there, back = case.match(False), case.match(True)
    return ({"timeouts": [(f"{there} ct timeout set \"short\"", False)],
             "forward": [(f"{there} ct state established accept", False), (f"{there} tcp flags & (syn | ack) == syn accept", False), (f"{there} drop", True),
                         (f"{back} ct state established accept", False), (f"{back} drop", False)]}, case.blocked("starved"))


def igmp(case):
    where = {"igmp prerouting drop": "early", "igmp input drop": "input"}[case.action]
    return ({where: [(f"ip saddr {case.address('to')} ip protocol igmp drop", True)]},
            dict(verdict="blocked", leg="join", cause="dropped", direction="to->group"))


def dnat_port(case):
    """The packets reach the right host at a port where nobody listens."""
    return ({"dnat": [(f"{case.match()} dnat to {case.address(case.leg.receiver)}:9", True)]}, case.blocked("translated"))


def dnat_nowhere(case):
    net = case.address(case.leg.receiver).rpartition(".")[0]
    return {"dnat": [(f"{case.match()} dnat to {net}.250", True)]}, case.blocked("translated")


def published(case):
    """Reached by another address, as behind most firewalls. DCOM's object references name the server's own one (MS-DCOM 2.2.18.7)."""
    address = PUBLISHED[case.server_inside]
    rules = {"dnat": [(f"ip saddr {case.address('from')} ip daddr {address} dnat to {case.address('to')}", True)],
             "forward": [(f"ip saddr {case.address('from')} ct original ip daddr {case.address('to')} drop", False)]}
    if case.flow.type in ("dcom", "encoder-alias"):
        return rules, dict(verdict="blocked", leg="object", cause="translated", direction="from->to")
    if case.flow.type == "mms-udp":  # media comes from the server's own address, which the player does not know
        return rules, dict(verdict="blocked", leg="media", cause="translated", direction="to->from")
    return rules, dict(verdict="pass", leg=None, cause=None)


def masquerade(case):
    """The player's address is hidden. Media over UDP goes to where the control connection came from: to the firewall."""
    rules = {"snat": [(f"ip saddr {case.address('from')} ip daddr {case.address(case.leg.receiver)} masquerade", True)]}
    if case.flow.type == "mms-udp":
        return rules, dict(verdict="blocked", leg="media", cause="translated", direction="to->from")
    return rules, dict(verdict="pass", leg=None, cause=None)


ACTIONS = {"accept": accept, "drop": drop, "chain": chain, "set": in_set, "reject": reject, "reset": reset, "cut": cut, "rate": rate, "timeout": timeout,
           "igmp prerouting drop": igmp, "igmp input drop": igmp, "dnat port": dnat_port, "dnat nowhere": dnat_nowhere, "dnat published": published,
           "masquerade": masquerade}


def actions(flow, leg, answers):
    """The actions that make sense there."""
    if leg.protocol == "igmp":
        return [] if answers else ["igmp prerouting drop", "igmp input drop"]
    if answers and leg.one_way:
        return []
    found = ["accept", "drop", "chain", "set"] + [f"reject:{kind}" for kind in ICMP]
    if leg.protocol == "tcp":
        found.append("reset")
    if flow.type == "mms-auto":
        return found
    media_udp = leg.name == "media"
    if media_udp or (leg.protocol == "tcp" and flow.type != "probe"):  # a probe is tried again, and then nothing passes
        found.append("cut")
    if media_udp:
        found.append("rate")
    if flow.type == "mms-udp" and leg.name == "control" and not answers:
        found.append("timeout")
    if not answers and leg.receiver != "group":
        found += ["dnat port", "dnat nowhere"]
        if leg == flow.legs[0] and flow.other == "server" and leg.receiver == "to":
            found.append("dnat published")
        if leg == flow.legs[0] and flow.kind != "encoder-alias":
            found.append("masquerade")
    return found


SLOW = {"cut": "3s", "rate": "3s", "timeout": "4s"}  # how long media has to play for it


def cases():
    number = 0
    for server_inside in (True, False):
        for flow in FLOWS:
            for leg in flow.legs:
                for answers in (False, True):
                    for action in actions(flow, leg, answers):
                        play = SLOW.get(action, "500ms") if leg.protocol == "udp" or action == "timeout" else "500ms"
                        yield Case(flow, leg, action, answers, server_inside, number, play=play)
                        number += 1


def build(batch, directory):
    """One scenario and one ruleset for a batch of cases. Returns the line of each case's deciding rule."""
    lines = ["version: 1", "name: ground truth", "zones:", f"  inside: {{ subnet: {INSIDE}.0/24, interface: fw-in }}",
             f"  outside: {{ subnet: {OUTSIDE}.0/24, interface: fw-out }}", f"  middle: {{ subnet: {MIDDLE}.0/24, interface: fw-mid }}", "hosts:"]
    for inside, zone, net in ((True, "inside", INSIDE), (False, "outside", OUTSIDE)):
        lines += [f"  server-{zone}: {{ zone: {zone}, address: {net}.10 }}", f"  published-{zone}: {{ zone: {zone}, address: {net}.11, published: {PUBLISHED[inside]} }}",
                  f"  studio-{zone}: {{ zone: {zone}, address: {net}.12 }}"]
    if any("proxy" in case.flow.options for case in batch):
        lines.append(f"  proxy: {{ zone: middle, address: {MIDDLE}.10, run: [tinyproxy, -d, -c, proxy.conf] }}")
        (directory / "proxy.conf").write_text("Port 3128\nMaxClients 300\nTimeout 600\nLogLevel Warning\n")
    sections = {name: [] for name in ("early", "timeouts", "dnat", "snat", "input", "chains", "forward")}
    flows = []
    for index, case in enumerate(batch):
        case.index = index
        zone, other_zone = ("outside", "inside") if case.server_inside else ("inside", "outside")
        host, other = f"h{index}", f"{case.other()}-{other_zone}"
        lines.append(f"  {host}: {{ zone: {zone}, address: {case.address(case.flow.host)} }}")
        ends = (host, other) if case.flow.host == "from" else (other, host)
        options = case.flow.options.format(own=case.own_port(), group=case.group(), id=f"f{index}")
        media = case.flow.type not in ("dcom", "probe")
        flows.append(f"  - {{ id: f{index}, type: {case.flow.type}, from: {ends[0]}, to: {ends[1]}"
                     + (f", {options}" if options else "") + (f", play: {case.play}" if media else "") + (", deadline: 3s" if case.action == "rate" else "") + " }")
        for section, rules in case.made()[0].items():
            sections[section] += [(text, case if decides else None) for text, decides in rules]
    lines += ["firewall: { ruleset: rules.nft }", "content: { lecture: { synthetic: audio, bitrate: 64k } }",
              "defaults: { deadline: 1s, content: lecture }", "flows:"] + flows
    (directory / "scenario.yaml").write_text("\n".join(lines) + "\n")
    rules, decides = [], {}

    def put(section):
        for text, case in sections[section]:
            rules.append("    " + text)
            if case:
                decides[case.index] = len(rules)
    rules += ["table ip early {", "  ct timeout short { protocol tcp; l3proto ip; policy = { established : 1 }; }",
              "  chain raw {", "    type filter hook prerouting priority raw; policy accept;"]
    put("early")
    rules += ["  }", "  chain timeouts {", "    type filter hook prerouting priority -150; policy accept;"]
    put("timeouts")
    rules += ["  }", "}"]
    if sections["dnat"] or sections["snat"]:
        rules += ["table ip nat {", "  chain prerouting {", "    type nat hook prerouting priority dstnat; policy accept;"]
        put("dnat")
        rules += ["  }", "  chain postrouting {", "    type nat hook postrouting priority srcnat; policy accept;"]
        put("snat")
        rules += ["  }", "}"]
    rules += ["table inet filter {"]
    put("chains")
    rules += ["  chain input {", "    type filter hook input priority filter; policy accept;"]
    put("input")
    rules += ["  }", "  chain forward {", "    type filter hook forward priority filter; policy accept;"]
    put("forward")
    rules += ["  }", "}"]
    (directory / "rules.nft").write_text("\n".join(rules) + "\n")
    return decides


def problem(case, flow, line):
    """What is wrong with the flow's report, or nothing."""
    expected = case.made()[1]

    def rule_wrong(rule, what):
        if not rule or (pathlib.Path(rule["file"]).name, rule["line"]) != ("rules.nft", line):
            return f"expected the rule of line {line} for {what}, got {rule}"
        return None

    got = {key: flow.get(key) for key in ("verdict", "leg", "cause", "direction", "transport")}
    for key in ("verdict", "leg", "cause", "direction", "transport"):
        if key in expected and got[key] != expected[key]:
            return f"expected {expected}, got {got}: {flow.get('explanation')}"
    if "icmp" in expected and (flow.get("icmp") or {}).get("code") != expected["icmp"]:
        return f"expected ICMP 3/{expected['icmp']}, got {flow.get('icmp')}"
    if expected["verdict"] != "pass":
        return rule_wrong(flow["rule"], "the flow")
    if flow["rule"]:
        return f"a flow that passes names {flow['rule']}"
    if expected.get("passing"):
        leg = next((leg for leg in flow["legs"] if leg["name"] == case.leg.name), None)
        if leg:  # a rollover may have had no use for it
            return rule_wrong(leg.get("rule"), "the leg that passes")
    if expected.get("attempt"):
        name, cause = expected["attempt"]
        leg = next((leg for attempt in flow["attempts"] for leg in attempt["legs"] if leg["name"] == name and leg["verdict"] != "pass"), None)
        if not leg or leg.get("cause") != cause:
            return f"expected an attempt whose {name} leg is {cause}, got {flow['attempts']}"
        return rule_wrong(leg.get("rule"), "the attempt")
    return None


def run(wmlab, batch, keep):
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(keep or temporary)
        directory.mkdir(parents=True, exist_ok=True)
        decides = build(batch, directory)
        command = [wmlab, "run", directory / "scenario.yaml", "--report", "json:-", "--quiet"] + (["--journal", directory / "journal"] if keep else [])
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            return [(case, f"no report, exit {done.returncode}: {done.stderr.strip()[-500:]}") for case in batch]
        if keep:
            (directory / "report.json").write_text(done.stdout)
    found = {flow["id"]: flow for flow in report["flows"]}
    answers = [(case, problem(case, found[name], decides.get(case.index))) for case in batch for name in (f"f{case.index}", f"f{case.index}-again")
               if name in found]
    return [(case, why) for case, why in answers if why]


def try_all(chosen, arguments, load=()):
    """Lists the cases or runs them batch by batch, with all cores busy where that is asked for. `load`: processes that run meanwhile. The exit code."""
    if arguments.list:
        for case in chosen:
            print(f"{case.name()}: {case.made()[1]}")
    busy = [*load] + [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count() if arguments.busy else 0)]
    start, failed = time.monotonic(), 0
    try:
        for at in range(0, 0 if arguments.list else len(chosen), arguments.batch):
            batch = chosen[at:at + arguments.batch]
            for case, why in run(arguments.wmlab, batch, arguments.keep and f"{arguments.keep}/{at}"):
                failed += 1
                print(f"WRONG {case.name()}: {why}", flush=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(f"{len(chosen) - failed} passed, {failed} failed, {time.monotonic() - start:.0f} s" + (", all cores busy" if busy else ""))
    return 1 if failed or not chosen else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--only", default="")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    chosen = [case for case in cases() if arguments.only in case.name()]
    chosen = [case for number, case in enumerate(chosen) if number % parts == part - 1]
    chosen.sort(key=lambda case: (case.play, case.number))  # those that take long share a run
    return try_all(chosen, arguments)


if __name__ == "__main__":
    sys.exit(main())
