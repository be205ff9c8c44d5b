#!/usr/bin/env python3
"""`wmlab rules` of every shipped scenario in every dialect. nft and iptables by their own parsers; ASA, pf and netsh, for which Debian has none, line by line
against the grammar of their manuals. All five must let through the same: protocol, source, destination and ports are compared rule by rule. Ranges
are ranges, and each rule's comment names a flow of the scenario.

    rules_dialects.py WMLAB SCENARIO...
"""
import re
import subprocess
import sys

IP = r"(\d+\.\d+\.\d+\.\d+)(?:/32)?"
PORT = r"\d+(?:[-:]\d+)?"


def ports(text):
    found = set()
    for word in re.findall(PORT, text or ""):
        first, _, last = word.replace(":", "-").partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def merge(rows):
    """By protocol, source and destination: all ports."""
    merged = {}
    for protocol, source, target, numbers in rows:
        merged.setdefault((protocol, source, target), set()).update(numbers)
    return merged


class Wrong(Exception):
    pass


def read(text, flows, comment, rule, skip):
    """The rules of a file: each line is a rule, a comment or one to skip, and a rule stands under a comment or has one of its own."""
    rows, named = [], None
    for line in text.splitlines():
        line = line.strip()
        if not line:
            continue
        if found := re.fullmatch(rule, line):
            names = found.groupdict().get("name") or named or ""
            if not any(flow in names for flow in flows):
                raise Wrong(f"no flow is named for: {line}")
            rows.append(found.groupdict())
        elif found := re.fullmatch(comment, line):
            named = found.group(1)
        elif not re.fullmatch(skip, line):
            raise Wrong(f"not of the grammar: {line}")
    if not rows:
        raise Wrong("no rules")
    return rows


def parser(words, text):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if done.returncode:
        raise Wrong(f"{words}: {done.stderr}")


def nft(text, flows):
    parser(["unshare", "-rn", "nft", "-c", "-f", "-"], text)
    rows = read(text, flows, r"# (.*)", rf'(?:iifname "\S+" )?(?:oifname "\S+" )?ip saddr {IP.replace("(", "(?P<s>", 1)} ip daddr {IP.replace("(", "(?P<d>", 1)} '
                r'(?P<p>tcp|udp) dport (?P<n>\d[\d-]*|\{[^}]*\}) accept(?: comment "(?P<name>[^"]*)")?',
                r"(#!.*|flush ruleset|table .*|chain .*|type .*|\}|ct state .*|.*igmp.*|.*icmp.*|iifname \"lo\" accept|(add|delete|destroy) .*)")
    return [(r["p"], r["s"], r["d"], ports(r["n"])) for r in rows]


def iptables(text, flows):
    parser(["unshare", "-rn", "iptables-nft-restore", "--test"], text)
    rows = read(text, flows, r"# (.*)", rf'-A FORWARD (?:-i \S+ )?(?:-o \S+ )?-s {IP.replace("(", "(?P<s>", 1)} -d {IP.replace("(", "(?P<d>", 1)} (?:-i \S+ )?(?:-o \S+ )?-p (?P<p>tcp|udp) '
                r'(?:-m (?:tcp|udp|multiport|conntrack) )*(?:--ctstate \S+ )?--dports? (?P<n>[\d,:]+) (?:-m conntrack --ctstate \S+ )?(?:-m comment --comment "?(?P<name>[^"]*)"? )?-j ACCEPT',
                r"(\*filter|:.*|COMMIT|-A FORWARD -m conntrack .*|-A INPUT .*)")
    return [(r["p"], r["s"], r["d"], ports(r["n"])) for r in rows]


def asa(text, flows):
    rows = read(text, flows, r"(?:access-list \S+ remark|!) ?(.*)", r"access-list \S+ extended permit (?P<p>tcp|udp) host (?P<s>[\d.]+) host (?P<d>[\d.]+) (?:eq (?P<n>\d+)|range (?P<a>\d+) (?P<b>\d+))",
                r"(access-group \S+ in interface \S+|access-list \S+ extended deny ip any any|multicast-routing|!)")
    if any(len(line) > 100 + len("access-list wmlab_outside remark ") for line in text.splitlines() if " remark " in line):
        raise Wrong("a remark has more than 100 characters")
    return [(r["p"], r["s"], r["d"], ports(r["n"] or f"{r['a']}-{r['b']}")) for r in rows]


def pf(text, flows):
    rows = read(text, flows, r"# (.*)", r"pass quick on \{ \S+ \S+(?: \S+)* \} inet proto (?P<p>tcp|udp) from (?P<s>[\d.]+) to (?P<d>[\d.]+) port (?P<n>\d+(?::\d+)?|\{ [\d: ]+ \}) keep state(?: \([^)]*\))?",
                r'(set skip on lo|block drop all|#|[a-zA-Z]\w* = "[^"$]+"|pass in quick on \$\S+ inet proto igmp from [\d.]+ allow-opts)')
    macros = set(re.findall(r'^([a-zA-Z]\w*) = "', text, re.MULTILINE))
    if unknown := set(re.findall(r"\$(\w+)", text)) - macros:
        raise Wrong(f"macros without a value: {unknown}")
    return [(r["p"], r["s"], r["d"], ports(r["n"])) for r in rows]


def netsh(text, flows):
    rows = read(text, flows, r"rem (.*)", r'netsh advfirewall firewall add rule name="(?P<name>[^"]{1,255})" dir=(?P<dir>in|out) action=allow protocol=(?P<p>TCP|UDP) localip=(?P<l>[\d.]+) remoteip=(?P<r>[\d.]+) '
                r'(?P<which>localport|remoteport)=(?P<n>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)', r'(rem|netsh advfirewall firewall delete rule name="[^"]+")')
    last = None
    for kind, name in re.findall(r'^netsh advfirewall firewall (add|delete) rule name="([^"]+)"', text, re.MULTILINE):
        if kind == "add" and name != last:
            raise Wrong(f"not deleted before it is added: {name}")
        last = name
    if any((r["dir"] == "in") != (r["which"] == "localport") for r in rows):
        raise Wrong("an incoming rule is about the remote port")
    coming = merge((r["p"].lower(), r["r"], r["l"], ports(r["n"])) for r in rows if r["dir"] == "in")
    going = merge((r["p"].lower(), r["l"], r["r"], ports(r["n"])) for r in rows if r["dir"] == "out")
    return [(*key, numbers) for key, numbers in {**going, **coming}.items()]


def main():
    program, *scenarios = sys.argv[1:]
    passed = failed = 0
    for scenario in scenarios:
        listed = subprocess.run([program, "list", scenario], capture_output=True, text=True).stdout
        flows = set(re.findall(r"^\s*([A-Za-z][\w-]*)", listed, re.M))
        boxes = re.findall(r"--box ([\w-]+)", subprocess.run([program, "rules", scenario], capture_output=True, text=True).stderr)
        for box in boxes or [None]:
            expected = None
            for name, reader in (("nft", nft), ("iptables", iptables), ("asa", asa), ("pf", pf), ("netsh", netsh)):
                done = subprocess.run([program, "rules", scenario, "--dialect", name] + (["--box", box] if box else []), capture_output=True, text=True)
                try:
                    if done.returncode:
                        raise Wrong(done.stderr)
                    rows = merge(reader(done.stdout, flows))
                    if expected is not None and rows != expected:
                        raise Wrong(f"not what the nft rules let through: {[(k, len(v)) for k, v in rows.items() if expected.get(k) != v]}, missing {set(expected) - set(rows)}")
                    expected = rows if expected is None else expected
                    passed += 1
                except Wrong as problem:
                    failed += 1
                    print(f"WRONG {scenario} {box or ''} {name}: {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
