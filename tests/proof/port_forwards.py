#!/usr/bin/env python3
"""Sites whose servers are published: whatever of the port forward is missing, the suggested patch is applied by patch(1), makes the streams work, and opens nothing that they do not need.

    port_forwards.py WMLAB [--count N] [--seed N] [--jobs N]

Every combination of dialect, what the file has of a nat table, what its forward chain lets through, and who the players are; --count: so many of them, chosen by the seed.
A forward chain that lets everything through that was translated (`ct status dnat accept`) leaves it to the dnat rule who may come.
"""
import argparse
import concurrent.futures
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile

NFT = """{nat}table inet filter {{
  chain forward {{
    type filter hook forward priority filter; policy {policy};
    ct state established,related accept
{forward}  }}
}}
"""
IPTABLES = """{nat}*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
{forward}COMMIT
"""
NAT = {  # what is there of a nat table
    "none": ("", ""),
    "another port": ('    iifname "wan" ip daddr 10.20.0.1 tcp dport 443 dnat to 10.10.0.10\n', "-A PREROUTING -i wan -d 10.20.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.10.0.10\n"),
    "the port of another address": ('    ip daddr 10.20.0.2 tcp dport 1755 dnat to 10.10.0.10\n', "-A PREROUTING -d 10.20.0.2/32 -p tcp -m tcp --dport 1755 -j DNAT --to-destination 10.10.0.10\n"),
    "masquerading": ("", ""),
}
FORWARD = {  # policy, rules
    "nothing new": ("drop", "", ""),
    "what was translated": ("drop", "    ct status dnat accept\n", "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n"),
    "the server's port": ("drop", '    iifname "wan" ip daddr 10.10.0.10 tcp dport 1755 accept\n', "-A FORWARD -i wan -d 10.10.0.10/32 -p tcp -m tcp --dport 1755 -j ACCEPT\n"),
    "everything": ("accept", "", ""),
}
PLAYERS = {"one": ["player"], "two": ["player", "other"], "anyone": ["anyone@outside"]}


def ruleset(dialect, nat, forward):
    policy, nft, iptables = FORWARD[forward]
    if dialect == "nft":
        table = ""
        if nat == "masquerading":
            table = 'table ip nat {\n  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n    oifname "wan" masquerade\n  }\n}\n'
        elif nat != "none":
            table = "table ip nat {\n  chain prerouting {\n    type nat hook prerouting priority dstnat; policy accept;\n" + NAT[nat][0] + "  }\n}\n"
        return NFT.format(nat=table, policy=policy, forward=nft)
    rules = "-A POSTROUTING -o wan -j MASQUERADE\n" if nat == "masquerading" else NAT[nat][1]
    table = "" if nat == "none" else f"*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n"
    return IPTABLES.format(nat=table, policy=policy.upper(), forward=iptables)


def scenario(players):
    flows = "".join(f"  - {{ id: f{i}, type: mms-tcp, from: {player}, to: media }}\n" for i, player in enumerate(players))
    return f"""version: 1
name: published
zones:
  inside:  {{ subnet: 10.10.0.0/24, interface: lan }}
  outside: {{ subnet: 10.20.0.0/24, interface: wan }}
hosts:
  media:  {{ zone: inside,  address: 10.10.0.10, published: 10.20.0.1 }}
  player: {{ zone: outside, address: 10.20.0.10 }}
  other:  {{ zone: outside, address: 10.20.0.11 }}
content: {{ lecture: {{ synthetic: audio, bitrate: 64k }} }}
defaults: {{ deadline: 1s, play: 300ms, content: lecture }}
flows:
{flows}"""


def problem(wmlab, case):
    dialect, nat, forward, players = case
    name = "rules." + ("nft" if dialect == "nft" else "v4")
    text = ruleset(dialect, nat, forward)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (folder / "site.yaml").write_text(scenario(PLAYERS[players]))
        (folder / name).write_text(text)
        (folder / "before").write_text(text)

        def run(*more):
            return subprocess.run([wmlab, "run", "site.yaml", "--ruleset", name, "--report", "json", *more], cwd=folder, capture_output=True, text=True, timeout=300)

        done = run("--suggest", "fix.patch")
        if done.returncode != 1:
            return f"exit {done.returncode} without the port forward: {done.stderr.strip()}"
        patch = json.loads(done.stdout)["patch"]
        if not patch["proven"]:
            return f"not proven: {patch['notes']}\n{patch['diff']}"
        applied = subprocess.run(["patch", "-p0", "-i", "fix.patch"], cwd=folder, capture_output=True, text=True)
        if applied.returncode != 0:
            return f"patch(1): {applied.stdout}{applied.stderr}"
        done = run("--baseline", "before")
        if done.returncode != 0:  # 1 also where it opens what no flow needs
            return f"the gate: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr}\n{patch['diff']}"
    return None


def main():
    ask = argparse.ArgumentParser(description="patches for published servers")
    ask.add_argument("wmlab")
    ask.add_argument("--count", type=int)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--jobs", type=int, default=3)
    options = ask.parse_args()
    wmlab = str(pathlib.Path(options.wmlab).resolve())
    cases = list(itertools.product(("nft", "iptables"), NAT, FORWARD, PLAYERS))
    if options.count:
        cases = random.Random(options.seed).sample(cases, options.count)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        for case, why in zip(cases, pool.map(lambda case: problem(wmlab, case), cases)):
            if why:
                failed += 1
                print(f"WRONG {', '.join(case)}: {why}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
