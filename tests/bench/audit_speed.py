#!/usr/bin/env python3
"""Seconds of `wmlab audit` for one pair of zones and one direction, TCP and UDP together, with rulesets of many kinds; and of the whole audit, which
has both directions. Every answer is compared with what the ruleset says. As an ordinary user, and as root for those that are too large for one.

    audit_speed.py WMLAB [--limit SECONDS]
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

SCENARIO = two_zones.scenario("speed", two_zones.PROBE_80)


def table(rules, policy="drop", before=""):
    return f"table inet filter {{\n{before} chain forward {{\n  type filter hook forward priority filter; policy {policy};\n" + "".join(f"  {r}\n" for r in rules) + " }\n}\n"


def rulesets(rng):
    """Name, text, and the open ports of TCP and UDP; None: any."""
    everything = set(range(1, 65536))
    holes = {p: set(rng.sample(range(1, 65536), 100)) for p in ("tcp", "udp")}
    listed = lambda ports: "{ " + ", ".join(map(str, sorted(ports))) + " }"
    two = [f"{p} dport {listed(holes[p])} accept" for p in holes]
    other = lambda n: [f"ip saddr 10.{rng.randint(100, 150)}.{rng.randint(0, 255)}.{rng.randint(1, 254)} tcp dport {rng.randint(1, 65535)} accept" for _ in range(n)]
    state = "ct state established,related accept"
    yield "accepts all", table([], "accept"), everything, everything
    yield "accepts all, with conntrack", table([state, "ct state new accept"]), everything, everything
    yield "drops all", table([]), set(), set()
    yield "rejects all", table(["reject"]), set(), set()
    yield "rejects with tcp reset", table(["meta l4proto tcp reject with tcp reset", "reject"]), set(), set()
    yield "200 holes", table([state, *two]), holes["tcp"], holes["udp"]
    yield "200 holes, reject", table([state, *two, "reject with icmpx admin-prohibited"]), holes["tcp"], holes["udp"]
    yield "a rule a hole", table([state, *[f"{p} dport {n} accept" for p in holes for n in holes[p]]]), holes["tcp"], holes["udp"]
    yield "logs what it drops", table([state, *two, "log prefix \"dropped \" drop"]), holes["tcp"], holes["udp"]
    yield "a limited log", table([state, *two, "limit rate 5/minute log prefix \"dropped \""]), holes["tcp"], holes["udp"]
    yield "masquerade", table([state, *two], before=" chain nat {\n  type nat hook postrouting priority srcnat\n  oifname \"fw-in\" masquerade\n }\n"), holes["tcp"], holes["udp"]
    yield "a limited accept", table([state, *two, "tcp dport 20000-20999 limit rate 10/second accept"]), None, holes["udp"]
    yield "1,000 rules before", table([state, *other(1000), *two]), holes["tcp"], holes["udp"]
    yield "3,000 rules before", table([state, *other(3000), *two]), holes["tcp"], holes["udp"]
    yield "20,000 rules before", table([state, *other(20000), *two]), holes["tcp"], holes["udp"]
    closed = rng.sample(sorted(everything - holes["tcp"] - holes["udp"]), 3000)
    yield "3,000 ports dropped before", table([state, *[f"{rng.choice(['tcp', 'udp'])} dport {port} drop" for port in closed], *two]), holes["tcp"], holes["udp"]
    addresses = ", ".join(sorted({f"10.{rng.randint(100, 200)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}" for _ in range(100000)}))
    yield "a set of 100,000 before", table([state, "ip saddr @many accept", *two], before=f" set many {{\n  type ipv4_addr\n  elements = {{ {addresses} }}\n }}\n"), holes["tcp"], holes["udp"]


def expand(texts):
    return {port for text in texts for port in range(int(text.split("-")[0]), int(text.split("-")[-1]) + 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--limit", type=float, default=5)
    options = parser.parse_args()
    failed = False
    print(f"{'ruleset':<30}{'as':<6}{'one way, s':>11}{'all, s':>8}{'open':>8}{'wrong':>7}{'not tested':>12}{'rule known':>12}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        (folder / "scenario.yaml").write_text(SCENARIO)
        for name, text, tcp, udp in rulesets(random.Random(20261127)):
            (folder / "rules.nft").write_text(text)
            for who in reversed(two_zones.everyone()):
                start = time.monotonic()
                done = subprocess.run([options.wmlab, "audit", folder / "scenario.yaml", "--ruleset", folder / "rules.nft", "--report", "json"],
                                      capture_output=True, text=True, timeout=600, **two_zones.become(who))
                whole = time.monotonic() - start
                if done.returncode == 3 and "larger than an ordinary user" in done.stderr:
                    print(f"{name:<30}{who:<6}   too large for an ordinary user, which it says")
                    continue
                pairs = [p for p in json.loads(done.stdout)["pairs"] if p["from_zone"] == "outside" and not p.get("probed_as")]
                wrong = untested = opened = known = 0
                for pair in pairs:
                    real = tcp if pair["protocol"] == "tcp" else udp
                    found, not_tested = expand(o["ports"] for o in pair["open"]), expand(pair["not_tested"])
                    untested += len(not_tested)
                    opened += len(found)
                    known += len(expand(o["ports"] for o in pair["open"] if o.get("rule")))
                    if real is not None:
                        wrong += len(real ^ found)
                one_way = next(d["seconds"] for d in json.loads(done.stdout)["directions"] if d["from"] == "outside")
                failed = failed or wrong > 0
                slow = " SLOW" if one_way > options.limit else ""
                print(f"{name:<30}{who:<6}{one_way:>11.2f}{whole:>8.2f}{opened:>8}{wrong:>7}{untested:>12}{known:>12}{slow}", flush=True)
                if who == "user" and not failed:
                    break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
