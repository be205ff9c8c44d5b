#!/usr/bin/env python3
"""`from: anyone@ZONE` held against rulesets of which it is known whom they let through: every sample has the verdict of its address, inside
and outside of what the rules name are samples, and what `--suggest` writes makes all pass (applied by patch(1)) and names no single address.

    anyone.py WMLAB [--seed N] [--count N] [NAME...]

One line per wrong answer, then `N passed, M failed`.
"""
import argparse
import ipaddress
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ADDRESS = ipaddress.ip_address
MEDIA = "10.10.0.10"


def scenario(subnet, flows, more=""):
    return f"""version: 1
name: Anyone
zones:
  inside:   {{ subnet: 10.10.0.0/24 }}
  internet: {{ subnet: {subnet} }}
hosts:
  media: {{ zone: inside, address: {MEDIA} }}
{more}content: {{ lecture: {{ synthetic: audio }} }}
defaults: {{ deadline: 1s, play: 200ms, content: lecture }}
flows:
{flows}"""


WEB = "  - { id: web, type: http, from: anyone@internet, to: media }\n"
PROBE = "  - { id: ssh, type: probe, from: anyone@internet, to: media, ports: 22 }\n"
UDP = "  - { id: stream, type: mms-udp, from: anyone@internet, to: media }\n"


def nft(rules, sets="", policy="drop"):
    return (f"table ip t {{\n{sets}  chain forward {{\n    type filter hook forward priority 0; policy {policy};\n"
            f"    ct state established,related accept\n{rules}  }}\n}}\n")


def iptables(rules):
    return "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n" + rules + "COMMIT\n"


def within(*nets):
    """Whether an address is in one of these networks or ranges."""
    spans = []
    for net in nets:
        if "-" in net:
            first, last = (ADDRESS(end) for end in net.split("-"))
        else:
            parsed = ipaddress.ip_network(net)
            first, last = parsed[0], parsed[-1]
        spans.append((first, last))
    return lambda address: any(first <= ADDRESS(address) <= last for first, last in spans)


class Case:
    def __init__(self, name, rules, passes, edges, subnet="10.20.0.0/24", flows=WEB, more="", baseline=None):
        self.name, self.rules, self.passes, self.edges = name, rules, passes, edges
        self.subnet, self.flows, self.more, self.baseline = subnet, flows, more, baseline


def fixed():
    web = "tcp dport 80 accept\n"
    half = within("10.20.0.128/25")
    yield Case("half-of-the-subnet", nft(f"    ip saddr 10.20.0.128/25 {web}"), half, ["10.20.0.127", "10.20.0.128"])
    yield Case("one-address", nft(f"    ip saddr 10.20.0.77 {web}"), within("10.20.0.77/32"), ["10.20.0.76", "10.20.0.77", "10.20.0.78"])
    yield Case("all-but-one", nft(f"    ip saddr 10.20.0.77 drop\n    {web}"), lambda a: a != "10.20.0.77", ["10.20.0.76", "10.20.0.77", "10.20.0.78"])
    named = ["10.20.0.5-10.20.0.9", "10.20.0.40/32", "10.20.0.64/26"]
    sets = "  set friends {\n    type ipv4_addr; flags interval\n    elements = { " + ", ".join(named) + " }\n  }\n"
    yield Case("a-set-with-intervals", nft(f"    ip saddr @friends {web}", sets), within(*named), ["10.20.0.5", "10.20.0.9", "10.20.0.40", "10.20.0.64", "10.20.0.127"])
    yield Case("not-these", nft(f"    ip saddr != {{ 10.20.0.16/28, 10.20.0.99 }} {web}"), lambda a: not within("10.20.0.16/28", "10.20.0.99/32")(a),
               ["10.20.0.16", "10.20.0.31", "10.20.0.99"])
    yield Case("iptables-half", iptables("-A FORWARD -s 10.20.0.0/25 -p tcp -m tcp --dport 80 -j ACCEPT\n"), within("10.20.0.0/25"), ["10.20.0.127", "10.20.0.128"])
    yield Case("by-a-map", nft("    tcp dport 80 ip saddr vmap { 10.20.0.0/26 : accept, 10.20.0.64/26 : drop, 10.20.0.200 : accept }\n"),
               within("10.20.0.0/26", "10.20.0.200/32"), ["10.20.0.63", "10.20.0.64", "10.20.0.200"])
    yield Case("nobody", nft(""), lambda a: False, [])
    yield Case("probe-of-one", nft("    ip saddr 10.20.0.0/25 tcp dport 22 accept\n"), within("10.20.0.0/25"), ["10.20.0.127", "10.20.0.128"], flows=PROBE)
    yield Case("stream-to-half", nft("    ip saddr 10.20.0.0/25 tcp dport 1755 accept\n    ip daddr 10.20.0.0/25 udp sport 1755 accept\n"
                                     "    ip saddr 10.20.0.0/25 udp dport 1755 accept\n"), within("10.20.0.0/25"), ["10.20.0.127", "10.20.0.128"], flows=UDP)
    yield Case("a-host-is-named", nft(f"    ip saddr 10.20.0.10 {web}"), within("10.20.0.10/32"), ["10.20.0.10"],
               more="  player: { zone: internet, address: 10.20.0.10 }\n")
    # A zone without an end: what rules name beyond its subnet is of it.
    yield Case("beyond-the-subnet", nft(f"    ip saddr 198.51.100.0/24 {web}"), within("198.51.100.0/24"), ["198.51.100.0", "198.51.100.255", "203.0.113.2"], subnet="203.0.113.0/24")
    yield Case("all-but-one-beyond", nft(f"    ip saddr 198.51.100.7 drop\n    {web}"), lambda a: a != "198.51.100.7", ["198.51.100.7"], subnet="203.0.113.0/24")
    yield Case("bogons", nft(f"    ip saddr {{ 10.0.0.0/8, 192.168.0.0/16, 127.0.0.0/8 }} drop\n    iifname \"internet\" {web}"), lambda a: True, [], subnet="203.0.113.0/24")
    yield Case("with-a-baseline", nft(f"    {web}"), lambda a: True, ["10.20.0.77"], baseline=nft(f"    ip saddr 10.20.0.77 {web}"))


def generated(rng, count):
    base = int(ADDRESS("10.20.0.0"))
    for number in range(count):
        nets = []
        for _ in range(rng.randint(1, 3)):
            prefix = rng.choice([25, 26, 28, 30, 32])
            size = 1 << (32 - prefix)
            nets.append(f"{ADDRESS(base + rng.randrange(256) // size * size)}/{prefix}")
        nets = [str(net) for net in ipaddress.collapse_addresses(ipaddress.ip_network(net) for net in nets)]
        inside = within(*nets)
        listed = "{ " + ", ".join(nets) + " }"
        edges = [str(address) for net in map(ipaddress.ip_network, nets) for address in (net[0], net[-1]) if address not in (ADDRESS("10.20.0.0"), ADDRESS("10.20.0.1"), ADDRESS("10.20.0.255"))]
        if rng.random() < 0.5:
            yield Case(f"generated-{number}-only-{'+'.join(nets)}", nft(f"    ip saddr {listed} tcp dport 80 accept\n"), inside, edges)
        else:
            yield Case(f"generated-{number}-all-but-{'+'.join(nets)}", nft(f"    ip saddr {listed} drop\n    tcp dport 80 accept\n"), lambda a, inside=inside: not inside(a), edges)


def run(wmlab, folder, *more):
    done = subprocess.run([wmlab, "run", "scenario.yaml", "--report", "json:-", *more], cwd=folder, capture_output=True, text=True, timeout=240)
    try:
        return json.loads(done.stdout), done
    except json.JSONDecodeError:
        return None, done


def problem(wmlab, case):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        (folder / "scenario.yaml").write_text(scenario(case.subnet, case.flows, case.more))
        (folder / "r.nft").write_text(case.rules)
        more = ["--ruleset", "r.nft"]
        if case.baseline:
            (folder / "old.nft").write_text(case.baseline)
            more += ["--baseline", "old.nft", "--allow-open"]
        report, done = run(wmlab, folder, *more, "--suggest", "fix.patch")
        if report is None:
            return f"no report, exit {done.returncode}: {done.stderr.strip()[-400:]}"
        tried = set()
        for flow in report["flows"]:
            address = flow["anyone"]["address"]
            tried.add(address)
            if not flow["id"].endswith("@" + address):
                return f"the id {flow['id']} does not tell {address}"
            want = "pass" if case.passes(address) else "blocked"
            if flow["verdict"] != want:
                return f"{flow['id']} is {flow['verdict']}, not {want}: {flow['explanation']}"
        sides = {case.passes(address) for address in tried}
        missing = [edge for edge in case.edges if edge not in tried]
        if missing and len(tried) < 16:
            return f"not tried: {missing}, but {sorted(tried)}"
        if case.edges and case.baseline is None and len(sides) < 2:
            return f"all samples are on one side: {sorted(tried)}"
        groups = report["anyone"]
        good = all(case.passes(address) for address in tried)
        if len(groups) != 1 or groups[0]["as_expected"] != good or (done.returncode == 0) != good:
            return f"exit {done.returncode}, groups {groups}"
        fix = (folder / "fix.patch").read_text() if (folder / "fix.patch").exists() else ""
        if good:
            return f"a patch where nothing is to be mended:\n{fix}" if fix else None
        if not fix or not report["patch"]["proven"]:
            return f"no proven patch: {report.get('patch')}"
        named = set(re.findall(r"(?:\d+\.){3}\d+(?:/\d+)?", "\n".join(line for line in fix.splitlines() if line.startswith("+") and not line.startswith("+++"))))
        allowed = {MEDIA, MEDIA + "/32"} | ({case.subnet} if case.subnet.startswith("10.") else set())
        if named - allowed:
            return f"the patch is about {sorted(named - allowed)}:\n{fix}"
        applied = subprocess.run(["patch", "-p0", "-i", "fix.patch"], cwd=folder, capture_output=True, text=True)
        if applied.returncode != 0:
            return f"patch(1) refuses it: {applied.stdout}{applied.stderr}\n{fix}"
        report, done = run(wmlab, folder, "--ruleset", "r.nft")
        if done.returncode != 0:
            return f"with the patch: exit {done.returncode}, {[flow['id'] for flow in report['flows'] if not flow['as_expected']] if report else done.stderr}\n{fix}"
    return None


def main():
    ask = argparse.ArgumentParser(description="any address of a zone, by samples")
    ask.add_argument("wmlab")
    ask.add_argument("names", nargs="*")
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--count", type=int, default=10, help="of those made by chance")
    ask.add_argument("--part", default="1/1", help="every Nth of them, from the Kth on")
    options = ask.parse_args()
    cases = [case for case in [*fixed(), *generated(random.Random(options.seed), options.count)] if not options.names or case.name in options.names]
    first, step = map(int, options.part.split("/"))
    cases = cases[first - 1::step]
    failed = 0
    for case in cases:
        why = problem(str(pathlib.Path(options.wmlab).resolve()), case)
        if why:
            failed += 1
            print(f"WRONG {case.name}: {why}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
