#!/usr/bin/env python3
"""Whatever a ruleset does to packets, the verdict says so: conditions x actions x moments x flow types x directions, generated.

    ledger.py WMLAB [--part N/M] [--seed N] [--count N] [--batch N] [--only TEXT] [--busy] [--stopped] [--again] [--list] [--keep DIR]

Each case is a host of its own whose packets meet one rule (length, every k-th, the first n only, chance, rate, flags, payload, a rewritten address, port,
time to live or payload, translation to other ports and servers). What must be found follows from the action alone: never `failed` (no host is at
fault), never `inconclusive` (one rule did it); where it is not a pass, the direction of the packets that the rule is for and the rule's line. Where the
action leaves the protocol no way through, a pass is wrong too. Some rules leave a way through by chance (a lost segment is sent again): then a pass is
right as well. With --seed and --count: that many cases by chance. Prints one line for each wrong case, then `N passed, M failed`.
"""
import argparse
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import ground_truth as truth

MEDIA_LENGTH = 800  # an IP packet with media of a stream of 64 kbit/s is longer
STREAMS = ("mms-tcp", "mms-udp", "http", "http-distribution", "msbd", "encoder-alias", "multicast")


def carries_media(case):
    """The case's packets are those with the media."""
    if case.leg.name == "media":
        return True
    if case.flow.type == "encoder-alias":
        return case.leg.name == "msbd" and case.answers
    return case.leg.protocol == "tcp" and case.flow.type in STREAMS and case.flow.type != "mms-udp" and case.answers


def expect(case, passes=False, **more):
    """The rule's packets are this leg's, in this direction."""
    if case.flow.type == "mms-auto":
        return dict(verdicts={"pass"}, **more)
    verdicts = {"blocked", "degraded"} | ({"pass"} if passes else set())
    return dict(dict(verdicts=verdicts, legs={case.leg.name}, directions={case.way()}), **more)


def forward(case, condition, statement="drop"):
    return {"forward": [(f"{case.match()} {condition} {statement}", True)]}


def length(case):
    limit = int(case.action.split(":")[1])
    return forward(case, f"meta length > {limit}"), expect(case, passes=not (carries_media(case) and limit < MEDIA_LENGTH))


def nth(case):
    every = int(case.action.split(":")[1])
    # Media over UDP is whole where every packet that the player asked for again came at the second or third time.
    heals = case.leg.protocol == "tcp" or not carries_media(case) or case.flow.type == "mms-udp"
    return forward(case, f"numgen inc mod {every} == 0"), expect(case, passes=heals)


def after(case):
    first = int(case.action.split(":")[1])
    return forward(case, f"limit rate over 1/day burst {first} packets"), expect(case, passes=not (carries_media(case) and first <= 4))


def by_chance(case):
    share = int(case.action.split(":")[1])
    return forward(case, f"numgen random mod 100 < {share}"), expect(case, passes=True)


def rate(case):
    kilobytes = int(case.action.split(":")[1])
    return forward(case, f"limit rate over {kilobytes} kbytes/second burst 2 kbytes"), expect(case, passes=not carries_media(case))


def acks(case):
    return forward(case, "tcp flags & (syn | fin | rst | psh | ack) == ack meta length < 70"), expect(case, passes=True)


def pushes(case):
    return forward(case, "tcp flags & psh == psh"), expect(case, passes=not carries_media(case))


def payload(case):
    """A byte of every packet's payload, not its first, is rewritten."""
    offset = 160 + 8 * 12 if case.leg.protocol == "tcp" else 64 + 8 * 2
    return forward(case, "meta length > 120", f"@th,{offset},8 set 0xa5"), expect(case, passes=True, any_rule=True, any_direction=True, unsure=True)


def header(case):
    """The window, which tells the other end how much it may send, or what is acknowledged; packets arrive, and mean something else."""
    what = {"window": "window set 0", "acknowledgement": "ackseq set 7"}[case.action.split(":")[1]]
    return forward(case, "tcp flags & syn == 0", f"tcp {what}"), expect(case, passes=True)


def ttl(case):
    return {"early": [(f"{case.match()} ip ttl set 1", True)]}, expect(case, any_direction=True)


def source_address(case):
    net = case.address(case.leg.receiver if case.answers else case.leg.sender).rpartition(".")[0]
    # A probe over UDP is proven by its arrival, whoever seems to have sent it.
    return forward(case, "", f"ip saddr set {net}.251"), expect(case, any_direction=True, passes=case.flow.kind == "probe udp")


def port(case):
    there = "sport" if case.answers else "dport"
    return forward(case, "", f"{case.leg.protocol} {there} set 9"), expect(case, any_direction=True)


def dnat_service(case):
    """To a port of the right host where another of its services listens."""
    return {"dnat": [(f"{case.match()} dnat to {case.address(case.leg.receiver)}:{80 if case.port() != '80' else 1755}", True)]}, expect(case, causes={"translated"})


def dnat_server(case):
    """To another server, which answers."""
    net = case.address(case.leg.receiver).rpartition(".")[0]
    return {"dnat": [(f"{case.match()} dnat to {net}.13", True)]}, expect(case, causes={"translated"})


def always(case):
    """A condition on another field that each of the packets meets."""
    condition = {"source port": f"{case.leg.protocol} sport 1-65535", "hour": 'meta hour >= "00:00:00"', "day": "meta day { 0, 1, 2, 3, 4, 5, 6 }",
                 "time to live": "ip ttl > 1", "mark": "meta mark 0"}[case.action.split(":")[1]]
    return forward(case, condition), expect(case)


def opening(case):
    """The segment that opens the connection, or the one that answers it."""
    return forward(case, "tcp flags & (syn | ack) == " + ("(syn | ack)" if case.answers else "syn")), expect(case, causes={"dropped"})


def closing(case):
    return forward(case, "tcp flags & fin == fin"), expect(case, passes=True)


def quota(case):
    kilobytes = int(case.action.split(":")[1])
    return forward(case, f"quota over {kilobytes} kbytes"), expect(case, passes=not (carries_media(case) and kilobytes <= 4))


def snat(case):
    """The sender appears as an address beyond the firewall that nobody has."""
    net = case.address(case.leg.receiver).rpartition(".")[0]
    return {"snat": [(f"{case.match()} snat to {net}.251", True)]}, expect(case, any_direction=True, passes=case.flow.kind == "probe udp")


def redirect(case):
    """The packets end at the firewall itself."""
    return {"dnat": [(f"{case.match()} redirect to :9", True)]}, expect(case, any_direction=True)


HARMLESS = {"dscp": ("forward", "ip dscp set cs3"), "mark": ("forward", "meta mark set 7"), "connection mark": ("forward", "ct mark set 7"), "priority": ("forward", "meta priority set 1:1"),
            "time to live": ("forward", "ip ttl set 33"), "identification": ("forward", "ip id set 7"), "log": ("forward", 'log prefix "harmless"'),
            "segment size": ("forward", "tcp option maxseg size set 500"), "untracked": ("early", "notrack"), "limit": ("forward", "limit rate 1000000/second accept"),
            "quota": ("forward", "quota over 900 mbytes drop"), "return": ("forward", "return"), "trace": ("forward", "meta nftrace set 0")}


def harmless(case):
    """Whatever it does to the packets, the stream works: nothing else is right."""
    section, statement = HARMLESS[case.action.split(":")[1]]
    condition = " tcp flags & syn == syn" if "maxseg" in statement else ""
    return {section: [(f"{case.match()}{condition} {statement}", False)]}, dict(verdicts={"pass"})


ACTIONS = {"length": length, "nth": nth, "after": after, "random": by_chance, "rate": rate, "acks": acks, "push": pushes, "payload": payload, "ttl": ttl, "header": header,
           "source address": source_address, "port": port, "dnat service": dnat_service, "dnat server": dnat_server, "always": always, "opening": opening,
           "closing": closing, "quota": quota, "snat": snat, "redirect": redirect, "harmless": harmless}
truth.ACTIONS.update(ACTIONS)


def actions(flow, leg, answers):
    if leg.protocol == "igmp" or (answers and leg.one_way):
        return
    yield from (f"length:{limit}" for limit in (60, 100, 200, 400, 600, 700, 1000))
    yield from (f"nth:{every}" for every in (2, 3, 5))
    yield from (f"after:{first}" for first in (1, 2, 3, 4, 6, 10, 20))
    yield from (f"random:{share}" for share in (20, 50, 80))
    yield from (f"always:{field}" for field in ("source port", "hour", "day", "time to live", "mark"))
    yield from (f"quota:{kilobytes}" for kilobytes in (1, 4, 12))
    yield from (f"harmless:{what}" for what in HARMLESS if what != "segment size" or leg.protocol == "tcp")
    media = leg.name == "media" or (leg.protocol == "tcp" and flow.type in STREAMS)
    if media:
        yield from (f"rate:{kilobytes}" for kilobytes in (2, 4))
    if leg.receiver != "group":
        yield "ttl"
        yield "source address"
        yield "port"
    if leg.protocol == "tcp":
        yield "acks"
        yield from ("header:window", "header:acknowledgement")
        yield "push"
        yield "opening"
        yield "closing"
    if not answers and leg.receiver != "group":
        yield "snat"
        yield "redirect"
    if leg.protocol == "tcp":
        if not answers and leg == flow.legs[0] and leg.port in ("1755", "80") and leg.receiver == "to":
            yield "dnat service"
            if flow.other == "server":
                yield "dnat server"


def cases():
    for server_inside in (True, False):
        for flow in truth.FLOWS:
            if flow.type in ("mms-auto",) or "proxy" in flow.kind:
                continue
            for leg in flow.legs:
                for answers in (False, True):
                    for action in actions(flow, leg, answers):
                        slow = action.split(":")[0] in ("rate", "after", "acks", "nth", "random", "quota")
                        yield truth.Case(flow, leg, action, answers, server_inside, 0, play="3s" if slow else "1s")


def problem(case, flow, line):
    expected = case.made()[1]
    got = {key: flow.get(key) for key in ("verdict", "leg", "cause", "direction", "reason")}
    say = f"expected {expected}, rule {line}; got {got} rule {(flow.get('rule') or {}).get('line')}: {flow.get('explanation')}"
    if stopped and flow["verdict"] == "inconclusive":
        return None
    if flow["verdict"] not in expected["verdicts"]:
        return say
    if flow["verdict"] == "pass":
        return None
    # A leg that is opened anew for each part of a session may stop at another of its legs of the same direction.
    if not expected.get("any_direction") and flow["direction"] not in expected.get("directions", {flow["direction"]}):
        return say
    if flow["cause"] not in expected.get("causes", {flow["cause"]}):
        return say
    rule = flow.get("rule")
    if not rule or (pathlib.Path(rule["file"]).name, rule["line"]) != ("rules.nft", line):
        return say
    return None


truth.problem = problem
plain_build = truth.build


def build(batch, directory):
    """Besides: another server in each zone, with a player of its own."""
    decides = plain_build(batch, directory)
    file = directory / "scenario.yaml"
    text = file.read_text()
    hosts, flows = "", ""
    for zone, net, other, other_net in (("inside", truth.INSIDE, "outside", truth.OUTSIDE), ("outside", truth.OUTSIDE, "inside", truth.INSIDE)):
        hosts += f"  booth-{zone}: {{ zone: {zone}, address: {net}.13 }}\n  watcher-{other}: {{ zone: {other}, address: {other_net}.14 }}\n"
        for kind in ("mms-tcp", "http"):
            flows += f"  - {{ id: booth-{zone}-{kind}, type: {kind}, from: watcher-{other}, to: booth-{zone}, play: 500ms }}\n"
    if again:  # those that need what their twin has run in a later wave
        text = re.sub(r"^  - \{ id: (f\d+),.*\n", lambda line: line[0] + line[0].replace(f"id: {line[1]},", f"id: {line[1]}-again,").replace(
            f"alias: {line[1]},", f"alias: {line[1]}-again,"), text, flags=re.M)
    text = text.replace("firewall: {", hosts + "firewall: {", 1) + flows
    file.write_text(text)
    return decides


truth.build = build
again = stopped = False
HOG = """import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
while True:
    time.sleep(3 - time.monotonic() % 3)  # all processors at the same time
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        pass
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--only", default="")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--stopped", action="store_true", help="nobody else has a processor for 1.2 s of every 3 s; then `inconclusive` is right too (root)")
    parser.add_argument("--again", action="store_true", help="each flow twice: together where they can be, else in two waves")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    global again, stopped
    again, stopped = arguments.again, arguments.stopped
    part, parts = map(int, arguments.part.split("/"))
    chosen = [case for case in cases() if arguments.only in case.name()]
    chosen = [case for number, case in enumerate(chosen) if number % parts == part - 1]
    if arguments.seed is not None:
        by_seed = random.Random(arguments.seed)
        chosen = by_seed.sample(chosen, min(arguments.count, len(chosen)))
    chosen.sort(key=lambda case: case.play)  # those that take long share a run
    hogs = [subprocess.Popen([sys.executable, "-c", HOG, str(processor)]) for processor in os.sched_getaffinity(0)] if stopped else []
    return truth.try_all(chosen, arguments, hogs)


if __name__ == "__main__":
    sys.exit(main())
