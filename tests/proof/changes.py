#!/usr/bin/env python3
"""What a change of the rules opens and closes, as `wmlab audit --baseline` tells it: random one-rule openings of real-looking rulesets,
each with its line; the same rule taken away, a closing; and rewrites of equal meaning, of which nothing may be told.

    changes.py WMLAB [--count N] [--seed N]

N of each sort, spread over the rulesets. Prints every case that went wrong, and the seconds."""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("changes", "  - { id: stream, type: probe, from: player, to: media, ports: 1755 }\n", "", two_zones.INTERFACES)
STREAM = "iifname outside ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 1755 accept"
PLAIN = ["ct state established,related accept", "ct state invalid drop", STREAM]
OWN = ["ct state established,related accept", "iifname lo accept"]


def ruleset(forward, own=None, before="", nat=(), policy="drop", chains=""):
    """The text, and the line in front of which a rule of the forwarding chain, of the firewall's own chain and of nat may be put."""
    lines, places = ["table inet filter {"] + before.splitlines(), {}
    lines += chains.splitlines()
    lines += ["  chain forward {", f"    type filter hook forward priority filter; policy {policy};"]
    lines += ["    " + rule for rule in forward]
    places["forward"] = len(lines)
    lines += ["  }"]
    if own is not None:
        lines += ["  chain input {", "    type filter hook input priority filter; policy drop;"] + ["    " + rule for rule in own]
        places["input"] = len(lines)
        lines += ["  }"]
    lines += ["}", "table ip nat {", "  chain prerouting {", "    type nat hook prerouting priority dstnat;"] + ["    " + rule for rule in nat]
    places["nat"] = len(lines)
    lines += ["  }", "}"]
    return lines, places


RULESETS = [
    ruleset(PLAIN),
    ruleset(PLAIN, own=OWN),
    ruleset(PLAIN + ["iifname inside oifname outside meta nfproto ipv4 tcp dport { 80, 443 } accept", "reject"][:-1]),
    ruleset(["ct state vmap { established : accept, related : accept, invalid : drop }", STREAM, "ip protocol icmp icmp type echo-request limit rate 100/second accept"]),
    ruleset(["ct state established,related accept", "ip saddr @friends ip daddr 10.10.0.10 tcp dport { 1755, 8080-8090 } accept"],
            before="  set friends {\n    type ipv4_addr; flags interval;\n    elements = { 10.20.0.10, 10.20.0.32/28 }\n  }"),
    ruleset(["ct state established,related accept", "iifname outside jump from_outside"],
            chains="  chain from_outside {\n    tcp flags & (fin|syn|rst|ack) != syn drop\n    ip daddr 10.10.0.10 tcp dport 1755 accept\n  }"),
    ruleset(PLAIN + ["ct status dnat accept"], nat=["ip daddr 10.20.0.1 tcp dport 1755 dnat to 10.10.0.10"]),
    ruleset(PLAIN + ["iifname inside ip saddr 10.10.0.0/24 udp dport { 53, 123 } accept"], own=OWN + ["iifname inside tcp dport 22 accept"]),
    ruleset(["ct state established,related accept", "ip saddr 10.20.0.128/25 drop", STREAM, "iifname outside udp sport 1755 drop"]),
    ruleset(["meta l4proto tcp ct state new tcp flags != syn drop", "ct state established,related accept", STREAM], own=OWN),
]


def opening(rng, lines, places, only=""):
    """A rule that opens something by one of the dimensions, and its chain."""
    port = rng.choice([22, 23, 3389, 5900, 8443, rng.randint(10000, 40000)])
    last = port + rng.choice([0, 0, 5, 300])
    ports = str(port) if port == last else f"{port}-{last}"
    protocol = rng.choice(["tcp", "udp"])
    kinds = ["port", "everything", "source port", "no syn", "source range", "source set", "target range", "protocol", "icmp", "ipv6",
             "ipv6 address", "length", "ttl", "dscp", "foreign source", "mark", "forward", "transport", "concatenation", "verdict map",
             "urgent", "option", "window", "identification", "checksum", "ether", "icmpv6", "any transport", "excluded", "mask", "raw"]
    if not any("ct status dnat accept" in line for line in lines):
        kinds.remove("forward")  # nothing is let through to where it leads
    if any("!= syn drop" in line for line in lines):
        kinds.remove("no syn")  # dropped before
    kinds += ["input", "input any"] if "input" in places else []
    kind = only if only in kinds else rng.choice(kinds)
    way = rng.choice(["iifname outside ", "iifname outside oifname inside "])
    # Connection tracking takes errors about nothing, and types it does not know, for invalid: where these are dropped, such a rule opens nothing.
    icmp = ["echo-request", "timestamp-request"] + ([] if any("invalid" in line for line in lines) else ["redirect", "42"])
    # What is dropped before opens nothing.
    sources = ["10.20.0.64/26", "10.20.0.77"] + ([] if any("10.20.0.128/25 drop" in line for line in lines) else ["10.20.0.200-10.20.0.220"])
    # The kernel's connection tracking checks the sum of UDP-Lite as if it were UDP's, and so calls right ones invalid.
    transports = ["dccp", "sctp"] + ([] if any("invalid" in line for line in lines) else ["udplite"])
    icmp_v6 = ["echo-request", "mld-listener-query"] + ([] if any("invalid" in line for line in lines) else ["200"])
    rule, chain = {
        "port": f"{way}{protocol} dport {ports} accept",
        "everything": f"iifname outside tcp dport 1-65535 accept",
        "source port": f"{rng.choice(['', way])}{protocol} sport {rng.choice([53, 20, 80, 1755, 123, 500])} accept",
        "no syn": f"{way}tcp flags & (syn|ack) == ack accept",
        "source range": f"ip saddr {rng.choice(sources)} {protocol} dport {ports} accept",
        "source set": f"ip saddr {{ 10.20.0.40, 10.20.0.50-10.20.0.60 }} ip daddr 10.10.0.10 {protocol} dport {{ {ports}, 9 }} accept",
        "target range": f"{way}ip daddr {rng.choice(['10.10.0.128/25', '10.10.0.33'])} {protocol} dport {ports} accept",
        "protocol": f"{way}meta l4proto {rng.choice(['gre', 'esp', 'sctp', '97'])} accept",
        "icmp": f"{way}icmp type {rng.choice(icmp)} accept",
        "ipv6": "meta nfproto ipv6 accept",
        "ipv6 address": f"ip6 saddr {rng.choice(['2001:db8:1::/48', '2001:db8::7'])} tcp dport {ports} accept",
        "length": f"{way}udp length {rng.choice(['64', '200-300', '> 900'])} accept",
        "ttl": f"{way}ip ttl {rng.choice(['3', '< 10', '> 200'])} tcp dport {ports} accept",
        "dscp": f"{way}ip dscp {rng.choice(['ef', 'cs3', 'af41'])} accept",
        "foreign source": f"{way}ip saddr {rng.choice(['203.0.113.0/24', '198.51.100.7'])} {protocol} dport {ports} accept",
        "transport": f"{way}{rng.choice(transports)} dport {ports} accept",
        "concatenation": f"{way}ip saddr . {protocol} dport {{ 10.20.0.10 . {port}, 10.20.0.64-10.20.0.70 . {port} }} accept",
        "verdict map": f"{way}{protocol} dport vmap {{ {ports} : accept, 7 : drop }}",
        "urgent": f"{way}tcp urgptr {rng.choice(['1', '> 100'])} tcp dport {ports} accept",
        "option": f"{way}tcp option {rng.choice(['maxseg size 500', 'timestamp exists', 'sack-permitted exists'])} tcp dport {ports} accept",
        "window": f"{way}tcp window {rng.choice(['1', '8192', '< 100'])} tcp dport {ports} accept",
        "identification": f"{way}ip id {rng.choice(['7', '1000-2000'])} {protocol} dport {ports} accept",
        "checksum": f"{way}udp checksum 0 udp dport {ports} accept",
        "ether": f"iifname outside ether saddr 02:00:00:00:00:07 {protocol} dport {ports} accept",
        "icmpv6": f"{way}icmpv6 type {rng.choice(icmp_v6)} accept",
        "any transport": f"{way}meta l4proto {{ tcp, udp, dccp }} th dport {ports} accept",
        "excluded": f"{way}ip saddr != 10.20.0.10 ip protocol {protocol} th dport {port} accept",
        "mask": f"{way}tcp dport & 0xff00 == 0x4500 accept",
        "raw": f"{way}ip protocol {protocol} @th,16,16 {port} accept",
        "mark": f"{way}meta mark 0x{rng.randint(1, 255):x} {protocol} dport {ports} accept",
        "forward": f"iifname outside ip daddr 10.20.0.1 tcp dport {port} dnat to 10.10.0.10:{rng.choice([22, 1755, 3389])}",
        "input": f"iifname outside {protocol} dport {ports} accept",
        "input any": f"iifname {rng.choice(['inside', 'outside'])} accept",
    }[kind], "nat" if kind == "forward" else "input" if kind.startswith("input") else "forward"
    return kind, rule, chain


def put(lines, places, chain, rule):
    at = places[chain]
    return lines[:at] + ["    " + rule] + lines[at:], at + 1


def rewritten(rng, lines):
    """The same meaning in other writing: comments, counters, renamed chains and sets, lists in another order, a rule as two, redundant rules."""
    text = "\n".join(lines)
    for _ in range(rng.randint(1, 4)):
        sort = rng.choice(["comment", "counter", "rename", "order", "split", "again", "jump", "table"])
        if sort == "comment":
            text = text.replace("  chain forward {", "  # reviewed\n\n  chain forward {", 1)
        elif sort == "counter":
            text = re.sub(r" (accept|drop)$", r" counter \1", text, count=0, flags=re.M) if "counter" not in text else text
        elif sort == "rename":
            for old in ["friends", "from_outside"]:
                text = re.sub(rf"\b{old}\b", old + "_b", text)
        elif sort == "order":
            text = re.sub(r"\{ ([\w.-]+), ([\w.-]+) \}", r"{ \2, \1 }", text)
        elif sort == "split":
            text = re.sub(r"^(    .*)tcp dport \{ 80, 443 \} accept$", r"\1tcp dport 80 accept\n\1tcp dport 443 accept", text, flags=re.M)
            text = text.replace("ct state established,related accept", "ct state established accept\n    ct state related accept", 1)
        elif sort == "again":
            lines_now = text.split("\n")
            at = next((i for i, line in enumerate(lines_now) if "tcp dport 1755 accept" in line), None)
            if at is not None:
                lines_now.insert(at + 1, lines_now[at])
            text = "\n".join(lines_now)
        elif sort == "jump" and "chain moved" not in text and STREAM in text:
            text = text.replace("    " + STREAM, "    jump moved", 1).replace("  chain forward {", "  chain moved {\n    " + STREAM + "\n  }\n  chain forward {", 1)
        elif sort == "table":
            text = text.replace("table inet filter", "table inet packets")
    return text.split("\n")


FOR_SSH = "iifname outside tcp dport 22 "
# Rules before and after a change that lets more through at once or at a time, though each packet by itself comes through under both.
LIMITS = [
    ([FOR_SSH + "limit rate 10/second accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate 10/second accept"], [FOR_SSH + "limit rate 10/second accept", FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate over 10/second drop", FOR_SSH + "accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "ct count over 20 drop", FOR_SSH + "accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate 10/second accept"], [FOR_SSH + "limit rate 100/second accept"]),
    ([FOR_SSH + "limit rate 10/second burst 5 packets accept"], [FOR_SSH + "limit rate 10/second burst 50 packets accept"]),
    ([FOR_SSH + "numgen random mod 4 0 drop", FOR_SSH + "accept"], [FOR_SSH + "accept"]),
    (["iifname outside icmp type echo-request limit rate 5/second accept"], ["iifname outside icmp type echo-request accept"]),
    (["iifname outside meta l4proto gre limit rate 5/minute accept"], ["iifname outside meta l4proto gre accept"]),
    (["iifname outside ip6 nexthdr tcp tcp dport 22 limit rate 5/minute accept"], ["iifname outside ip6 nexthdr tcp tcp dport 22 accept"]),
    ([FOR_SSH + "quota until 25 mbytes accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "quota until 25 mbytes accept"], [FOR_SSH + "quota until 50 mbytes accept"]),
    ([FOR_SSH + "quota over 25 mbytes drop", FOR_SSH + "accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate 1 mbytes/second accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate 1 mbytes/second accept"], [FOR_SSH + "limit rate 2 mbytes/second accept"]),
    ([FOR_SSH + "limit rate 100000/second burst 5000 packets accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "limit rate 100000/second burst 5000 packets accept"], [FOR_SSH + "limit rate 100000/second burst 6000 packets accept"]),
    ([FOR_SSH + "meter ssh { ip saddr limit rate 3/minute } accept"], [FOR_SSH + "accept"]),
    ([FOR_SSH + "meter ssh { ip saddr limit rate 3/minute } accept"], [FOR_SSH + "meter ssh { ip saddr limit rate 30/minute } accept"]),
    ([FOR_SSH + "ct count 20 accept"], [FOR_SSH + "ct count 200 accept"]),
    ([FOR_SSH + "limit rate 10/day accept"], [FOR_SSH + "limit rate 10/hour accept"]),
    # One limit more stands before, and stays: it must not hide what becomes of the other one.
    (["iifname outside limit rate over 100/second drop", FOR_SSH + "limit rate over 5/second drop", FOR_SSH + "accept"],
     ["iifname outside limit rate over 100/second drop", FOR_SSH + "accept"]),
    (["numgen random mod 100 < 3 drop", FOR_SSH + "ct count over 5 drop", FOR_SSH + "accept"], ["numgen random mod 100 < 3 drop", FOR_SSH + "accept"]),
]
# The same of rules in tables of iptables.
IPTABLES_SSH = "-A FORWARD -i outside -p tcp --dport 22 "
IPTABLES_LIMITS = [
    ([IPTABLES_SSH + "-m limit --limit 10/sec -j ACCEPT"], [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m limit --limit 10/sec -j ACCEPT"], [IPTABLES_SSH + "-m limit --limit 100/sec -j ACCEPT"]),
    ([IPTABLES_SSH + "-m hashlimit --hashlimit-upto 5/min --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name ssh -j ACCEPT"], [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m hashlimit --hashlimit-above 5/min --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name ssh -j DROP", IPTABLES_SSH + "-j ACCEPT"],
     [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m connlimit --connlimit-above 3 -j REJECT --reject-with tcp-reset", IPTABLES_SSH + "-j ACCEPT"], [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m statistic --mode random --probability 0.25 -j DROP", IPTABLES_SSH + "-j ACCEPT"], [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m recent --name seen --set", IPTABLES_SSH + "-m recent --name seen --update --seconds 60 --hitcount 4 -j DROP", IPTABLES_SSH + "-j ACCEPT"],
     [IPTABLES_SSH + "-j ACCEPT"]),
    ([IPTABLES_SSH + "-m quota --quota 25000000 -j ACCEPT"], [IPTABLES_SSH + "-j ACCEPT"]),
]


def iptables_ruleset(rules):
    return ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]",
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", *rules, "COMMIT"]


def limit_cases(wmlab, folder, count, fail):
    """A limit that goes, comes and stays: opened by the last rule of the new file, closed, nothing."""
    seconds = []
    nft = [tuple(ruleset(["ct state established,related accept"] + rules)[0] for rules in both) for both in LIMITS]
    iptables = [tuple(iptables_ruleset(rules) for rules in both) for both in IPTABLES_LIMITS]
    for old, new in (nft + iptables)[::-1][:count] if count < len(nft) else nft + iptables:
        line = max(i for i, text in enumerate(new, 1) if text.endswith((" accept", "-j ACCEPT")))
        same = [text.replace(" accept", " counter accept").replace("-j ACCEPT", "-m comment --comment same -j ACCEPT") for text in old]
        for sort, one, other, wanted in [("openings", old, new, ({line}, set())), ("closings", new, old, (set(), {line})), ("rewrites", old, same, (set(), set()))]:
            code, got, took = told(wmlab, folder, one, other)
            seconds.append(took)
            if (lines_of(got["opened"]), lines_of(got["closed"])) != wanted or code != (1 if wanted[0] else 0):
                fail(sort, f"limits; exit {code}, wanted {wanted}", one, other, got)
    return seconds


def random_limit(rng, port, name):
    """Lines before the chain, and two forms of rules for this port: with a limit, and with a weaker one or none."""
    match = rng.choice([f"iifname outside tcp dport {port} ", f"tcp dport {port} ", f"iifname outside oifname inside tcp dport {{ {port}, {port + 1} }} "])
    rate, more = rng.choice([("3/minute", "9/minute"), ("10/second burst 20 packets", "10/second burst 90 packets"), ("2/hour", "2/minute"),
                             ("20 kbytes/second", "1 mbytes/second"), ("7/second", "1000/second"), ("90000/second burst 9000 packets", "99000/second burst 9000 packets")])
    form = rng.choice(["accept", "drop", "chain", "name", "quota", "quota name", "count", "meter", "set", "chance"])
    accept, drop = match + "accept", match + "drop"
    several = {
        "accept": ("", [f"{match}limit rate {rate} accept"], [f"{match}limit rate {more} accept"]),
        "drop": ("", [f"{match}limit rate over {rate} drop", accept], [f"{match}limit rate over {more} drop", accept]),
        "chain": (f"  chain {name} {{\n    limit rate over {rate} drop\n    accept\n  }}", [f"{match}jump {name}"], [accept]),
        "name": (f"  limit {name} {{\n    rate {rate}\n  }}", [f'{match}limit name "{name}" accept'], [accept]),
        "quota": ("", [f"{match}quota until 7 mbytes accept"], [f"{match}quota until 8 mbytes accept"]),
        "quota name": (f"  quota {name} {{\n    over 7 mbytes\n  }}", [f'{match}quota name "{name}" drop', accept], [accept]),
        "count": ("", [f"{match}ct count over 4 reject with tcp reset", accept], [f"{match}ct count over 40 reject with tcp reset", accept]),
        "meter": ("", [f"{match}meter {name} {{ ip saddr limit rate over 3/minute }} drop", accept], [accept]),
        "set": (f"  set {name} {{\n    type ipv4_addr\n    flags dynamic, timeout\n    timeout 1m\n  }}",
                [f"{match}add @{name} {{ ip saddr limit rate over 3/minute }} drop", accept], [accept]),
        "chance": ("", [f"{match}numgen random mod 10 < 3 drop", accept], [accept]),
    }[form]
    before, limited, weaker = several
    return form, before, limited, weaker if rng.random() < 0.5 else [accept]


def random_limit_cases(wmlab, folder, count, rng, fail):
    """One limit among others that stay is taken away or raised; told is its port and nothing else, the other way round it is closed,
    and nothing where only the writing differs."""
    seconds = []
    for _ in range(count):
        others = [random_limit(rng, port, f"other{port}") for port in rng.sample([2000, 2100, 2200], rng.randint(0, 3))]
        common = rng.sample(["limit rate over 500/second drop", "ct count over 1000 drop", "numgen random mod 1000 == 0 drop"], rng.randint(0, 2))
        port = rng.choice([22, 3389, 8443])
        form, before, limited, weaker = random_limit(rng, port, "mine")

        def whole(own):
            rules = common + [rule for other in others for rule in other[2]]
            rules += own
            return ruleset(["ct state established,related accept"] + rules, before="\n".join(filter(None, [before, *(other[1] for other in others)])))[0]

        old, new = whole(limited), whole(weaker)
        same = [text.replace(" accept", " counter accept").replace("other2", "another2").replace("mine", "yours").replace("3/minute", "180/hour") for text in old]
        for sort, one, other, wanted in [("openings", old, new, (True, False)), ("closings", new, old, (False, True)), ("rewrites", old, same, (False, False))]:
            code, got, took = told(wmlab, folder, one, other)
            seconds.append(took)
            ports = [{single for entry in got[way] for single in entry.get("ports", [])} for way in ("opened", "closed")]
            good = all({part for text in found for part in re.split("[-,]", text)} <= {str(port), str(port + 1)} for found in ports)
            if (bool(ports[0]), bool(ports[1])) != wanted or not good or code != (1 if wanted[0] else 0):
                fail(sort, f"limit, {form}; exit {code}, ports {ports}", one, other, got)
    return seconds


def in_front(lines, rule):
    """The rule as the first of the forwarding chain."""
    at = next(i for i, text in enumerate(lines) if "type filter hook forward" in text)
    return lines[:at + 1] + ["    " + rule] + lines[at + 1:]


def table(name, chain, rule):
    return [f"table {name} {{", "  chain own {", f"    {chain}", f"    {rule}", "  }", "}"]


ESTABLISHED = "ct state established,related accept"
# Changes that are no rule in the chain that decides: how they are made, and whether they open something.
STRUCTURES = [
    ("policy", True, lambda lines: [text.replace("policy drop", "policy accept") for text in lines]),
    ("priority", False, lambda lines: [text.replace("priority filter; policy drop", "priority 10; policy drop") for text in lines]),
    ("new with the established", True, lambda lines: [text.replace(ESTABLISHED, "ct state established,related,new accept") for text in lines]),
    ("untracked by another table", True,
     lambda lines: in_front(lines, "ct state untracked accept") + table("inet own", "type filter hook prerouting priority raw;", "udp dport 999 notrack")),
    ("the table is gone", True, lambda lines: lines[lines.index("table ip nat {"):]),
    ("mark of another table", True,
     lambda lines: in_front(lines, "meta mark 7 accept") + table("inet own", "type filter hook prerouting priority mangle;", "udp dport 999 meta mark set 7")),
    ("connection mark of another table", True,
     lambda lines: in_front(lines, "ct mark 7 accept") + table("inet own", "type filter hook prerouting priority mangle;", "udp dport 999 ct mark set 7")),
    ("translation by another table", True,
     lambda lines: in_front(lines, "ct status dnat accept") +
     table("ip own", "type nat hook prerouting priority dstnat - 1;", "iifname outside udp dport 999 dnat to 10.10.0.10:53")),
    ("accepted on its way in only", False, lambda lines: lines + table("netdev own", 'type filter hook ingress device "outside" priority 0;', "udp dport 999 accept")),
    ("accepted by a chain before", False, lambda lines: table("inet own", "type filter hook forward priority -5;", "udp dport 999 accept") + lines),
    ("dropped by a chain behind", False, lambda lines: lines + table("inet own", "type filter hook forward priority 20;", "udp dport 999 drop")),
]


def structure_cases(wmlab, folder, count, fail):
    seconds = []
    for lines, _ in RULESETS[:count]:
        for name, opens, made in STRUCTURES:
            changed = made(lines)
            if changed == lines:
                continue
            code, got, took = told(wmlab, folder, lines, changed)
            seconds.append(took)
            if bool(got["opened"]) != opens or code != (1 if opens else 0):
                fail("openings" if opens else "rewrites", f"{name}; exit {code}", lines, changed, got)
    return seconds


def told(wmlab, folder, before, after):
    (folder / "before.nft").write_text("\n".join(before) + "\n")
    (folder / "after.nft").write_text("\n".join(after) + "\n")
    start = time.monotonic()
    done = subprocess.run([wmlab, "audit", "scenario.yaml", "--baseline", "before.nft", "--ruleset", "after.nft", "--report", "json"],
                          cwd=folder, capture_output=True, text=True, timeout=300)
    seconds = time.monotonic() - start
    try:
        return done.returncode, json.loads(done.stdout)["baseline"], seconds
    except ValueError:
        return done.returncode, {"opened": [], "closed": [], "problem": done.stderr}, seconds


def lines_of(entries):
    rules = [rule for entry in entries for rule in (entry.get("rule"), entry.get("translated_by")) if rule]
    return {rule["line"] for rule in rules}


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("wmlab")
    ask.add_argument("--count", type=int, default=200)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--only", default="")
    ask.add_argument("--limits", type=int, default=len(LIMITS), help="how many of the changes of limits")
    ask.add_argument("--random-limits", type=int, default=0, help="how many changes of one limit among others")
    ask.add_argument("--structures", type=int, default=len(RULESETS), help="of how many rulesets something else than a rule is changed")
    options = ask.parse_args()
    rng = random.Random(options.seed)
    wmlab = str(pathlib.Path(options.wmlab).resolve())
    wrong, seconds = {"openings": 0, "closings": 0, "rewrites": 0}, []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "scenario.yaml").write_text(SCENARIO)

        def fail(sort, why, before, after, got):
            wrong[sort] += 1
            print(f"WRONG {sort}: {why}\n--- before\n" + "\n".join(before) + "\n--- after\n" + "\n".join(after) + f"\n--- told\n{json.dumps(got)[:1500]}", flush=True)

        seconds += limit_cases(wmlab, folder, options.limits, fail)
        seconds += structure_cases(wmlab, folder, options.structures, fail)
        seconds += random_limit_cases(wmlab, folder, options.random_limits, rng, fail)
        for number in range(options.count):
            lines, places = RULESETS[number % len(RULESETS)]
            kind, rule, chain = opening(rng, lines, places, options.only)
            more, line = put(lines, places, chain, rule)
            if options.only and options.only != kind:
                continue
            code, got, took = told(wmlab, folder, lines, more)
            seconds.append(took)
            if line not in lines_of(got["opened"]) or code not in (1, 4) or (code == 4 and kind not in ("mark", "option", "checksum")):
                fail("openings", f"{kind}, line {line}: {rule}; exit {code}", lines, more, got)
            code, got, took = told(wmlab, folder, more, lines)
            seconds.append(took)
            if line not in lines_of(got["closed"]) or got["opened"] or code != 0:
                fail("closings", f"{kind}, line {line}: {rule}; exit {code}", more, lines, got)
            again = rewritten(rng, lines)
            code, got, took = told(wmlab, folder, lines, again)
            seconds.append(took)
            if code != 0 or got["opened"] or got["closed"]:
                fail("rewrites", f"exit {code}", lines, again, got)
    print(f"{options.count} of each: wrong {wrong}; {sum(seconds):.0f} s, {sum(seconds) / max(1, len(seconds)):.2f} s each, {max(seconds, default=0):.2f} s at most")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
