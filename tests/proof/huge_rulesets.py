#!/usr/bin/env python3
"""Rulesets of 20,000 rules, sets and maps of 100,000 elements, iptables-save files of 20,000 lines: loaded, judged and attributed to the right lines, as
root and as an ordinary user as far as the kernel lets one; seconds of each. With a mistake in line 15,000, nft's own message and that line. With
something this system lacks, its name.

    huge_rulesets.py WMLAB [--rules N] [--elements N] [--audit]
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("huge", """  - { id: open, type: probe, from: player, to: media, protocol: tcp, ports: [80] }
  - { id: shut, type: probe, from: player, to: media, protocol: tcp, ports: [81], expect: blocked, deadline: 500ms }
  - { id: policy, type: probe, from: player, to: media, protocol: udp, ports: [82], expect: blocked, deadline: 500ms }
""")
HEAD = " chain forward {\n  type filter hook forward priority filter; policy drop;\n  ct state established,related accept\n"


def address(rng):
    return f"10.{rng.randint(100, 200)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def plain(rng, count):
    """Text, and the lines that decide about the flows."""
    lines = [f"  ip saddr {address(rng)} tcp dport {rng.randint(1, 65535)} accept" for _ in range(count)]
    lines[count // 2] = "  ip saddr 10.20.0.10 tcp dport 80 accept"
    lines[count * 3 // 4] = "  ip saddr 10.20.0.10 tcp dport 81 drop"
    text = "table inet filter {\n" + HEAD + "\n".join(lines) + "\n }\n}\n"
    first = 1 + HEAD.count("\n") + 1
    return text, (first + count // 2, first + count * 3 // 4, 3)


def iptables(rng, count):
    lines = [f"-A FORWARD -s {address(rng)}/32 -p tcp -m tcp --dport {rng.randint(1, 65535)} -j ACCEPT" for _ in range(count)]
    lines[count // 2] = "-A FORWARD -s 10.20.0.10/32 -p tcp -m tcp --dport 80 -j ACCEPT"
    lines[count * 3 // 4] = "-A FORWARD -s 10.20.0.10/32 -p tcp -m tcp --dport 81 -j DROP"
    head = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    return head + "\n".join(lines) + "\nCOMMIT\n", (6 + count // 2, 6 + count * 3 // 4, 3)


def elements(rng, count):
    found = set()
    while len(found) < count:
        found.add(address(rng))
    return ",\n".join(sorted(found))


def a_set(rng, count):
    text = f"table inet filter {{\n set good {{\n  type ipv4_addr\n  elements = {{ {elements(rng, count)},\n10.20.0.10 }}\n }}\n" + HEAD
    first = text.count("\n") + 1
    return text + "  ip saddr @good tcp dport 80 accept\n  ip saddr @good tcp dport 81 drop\n }\n}\n", (first, first + 1, first - 2)


def intervals(rng, count):
    parts = sorted(rng.sample(range(0x0B000000, 0x7F000000, 64), count))
    text = ",\n".join(f"{p >> 24}.{p >> 16 & 255}.{p >> 8 & 255}.{p & 255}/27" for p in parts)
    text = f"table inet filter {{\n set good {{\n  type ipv4_addr\n  flags interval\n  elements = {{ 10.20.0.0/24,\n{text} }}\n }}\n" + HEAD
    first = text.count("\n") + 1
    return text + "  ip saddr @good tcp dport 80 accept\n  ip saddr @good tcp dport 81 drop\n }\n}\n", (first, first + 1, first - 2)


def a_map(rng, count):
    pairs = elements(rng, count).replace(",\n", " : drop,\n") + " : drop"
    text = (f"table inet filter {{\n map fate {{\n  type ipv4_addr : verdict\n  elements = {{ 10.20.0.10 : jump mine,\n{pairs} }}\n }}\n"
            " chain mine {\n  tcp dport 80 accept\n  tcp dport 81 drop\n }\n")
    first = text.count("\n") - 2
    return text + HEAD + "  ip saddr vmap @fate\n }\n}\n", (first, first + 1, first + 4)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--rules", type=int, default=20000)
    parser.add_argument("--elements", type=int, default=100000)
    parser.add_argument("--audit", action="store_true")
    options = parser.parse_args()
    failed = False
    kinds = [("rules", plain, options.rules), ("iptables-save lines", iptables, options.rules), ("elements of a set", a_set, options.elements),
             ("intervals of a set", intervals, options.elements // 2), ("elements of a map", a_map, options.elements)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        (folder / "scenario.yaml").write_text(SCENARIO)
        rules = folder / "rules"

        def call(who, *words):
            start = time.monotonic()
            done = subprocess.run([options.wmlab, words[0], folder / "scenario.yaml", "--ruleset", rules, "--quiet", *words[1:]], capture_output=True, text=True,
                                  timeout=600, **two_zones.become(who))
            return done, time.monotonic() - start

        def say(good, sentence):
            nonlocal failed
            failed = failed or not good
            print(f"{'ok   ' if good else 'WRONG'} {sentence}", flush=True)

        for name, make, size in kinds:
            for who in two_zones.everyone():
                times = []
                for count in (size // 4, size):
                    text, truth = make(random.Random(1), count)
                    rules.write_text(text)
                    done, seconds = call(who, "run", "--report", "json")
                    times.append(seconds)
                    label = f"{count:,} {name}, {who}: "
                    if done.returncode == 3 and "larger than an ordinary user" in done.stderr and who == "user":
                        say("wmem_max" in done.stderr, label + f"too large, which it says: {done.stderr.strip().splitlines()[-1].strip()}")
                        continue
                    try:
                        flows = {flow["id"]: flow for flow in json.loads(done.stdout)["flows"]}
                    except ValueError:
                        say(False, label + f"exit {done.returncode}: {done.stderr[-600:]}")
                        continue
                    lines = tuple((flow["legs"][0].get("rule") or {}).get("line") for flow in (flows["open"], flows["shut"], flows["policy"]))
                    good = done.returncode == 0 and lines == truth
                    say(good, label + f"{seconds:.1f} s, flows decided by lines {lines}" + ("" if good else f", not {truth}, exit {done.returncode}"))
                    if options.audit and count == size:
                        done, seconds = call(who, "audit", "--report", "json")
                        pairs = [p for p in json.loads(done.stdout)["pairs"] if p["from"] == "player"]
                        found = {(p["protocol"], o["ports"]): o.get("rule", {}).get("line") for p in pairs for o in p["open"]}
                        say(found == {("tcp", "80"): truth[0]}, label + f"audited in {seconds:.1f} s: {found}")
                if len(times) == 2 and times[1] > 8 * times[0]:
                    say(False, f"{name}: four times as many take {times[1] / times[0]:.1f} times as long")

        text, _ = plain(random.Random(1), options.rules)
        lines = text.split("\n")
        lines[14999 if len(lines) > 15000 else len(lines) // 2] = "  ip saddr 10.1.1.1 tcp dprot 5 accept"
        at = lines.index("  ip saddr 10.1.1.1 tcp dprot 5 accept") + 1
        rules.write_text("\n".join(lines))
        done, seconds = call("root", "run")
        say(done.returncode == 2 and f":{at}:" in done.stderr and "syntax error" in done.stderr, f"a mistake in line {at}: exit {done.returncode}, {seconds:.1f} s, "
            f"{done.stderr.splitlines()[0][len(str(rules)):] if done.stderr else ''}")

        for name, text in {
            "geoip": "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m geoip --src-cc DE -j ACCEPT\nCOMMIT\n",
            "flowtable": "table inet x {\n flowtable f {\n  hook ingress priority 0\n  devices = { \"fw-in\", \"fw-out\" }\n }\n chain forward {\n"
                         "  type filter hook forward priority filter\n  ip protocol tcp flow add @f\n }\n}\n",
            "synproxy": "table inet x {\n chain forward {\n  type filter hook forward priority filter\n  synproxy mss 1460 wscale 7 timestamp sack-perm\n }\n}\n",
            "tproxy": "table inet x {\n chain pre {\n  type filter hook prerouting priority mangle\n  tcp dport 80 tproxy ip to :3128\n }\n}\n",
        }.items():
            rules.write_text(text)
            done, _ = call("root", "run")
            lacks = "this kernel has no" in done.stderr or "iptables has no" in done.stderr
            say(done.returncode in (0, 1) or (done.returncode == 3 and lacks and name in done.stderr),
                f"{name}: " + (done.stderr.strip().splitlines()[-1].strip() if lacks else f"this system has it, exit {done.returncode}"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
