#!/usr/bin/env python3
"""Streams that are paused, through the real kernel: which go on, which time-out ended the others, which rule stopped what came then.
Usage: idle.py WMLAB [all]: without `all` one stream that goes on, in seconds; with it those that do not, and pauses that take half a minute."""
import json, pathlib, subprocess, sys, tempfile

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
import two_zones

WMLAB = str(pathlib.Path(sys.argv[1]).resolve())
SCHEMA = jsonschema.Draft202012Validator(json.loads((pathlib.Path(__file__).parents[3] / "docs/report.schema.json").read_text()))
wrong = []

# Of the player only what begins properly: a connection by a SYN, media to a port once. The guest may go on whenever he likes.
RULES = """flush ruleset
table inet filter {
  set begun { type inet_service; flags dynamic; size 1000; }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established accept
    ip saddr 10.20.0.11 accept
    ip daddr 10.20.0.11 accept
    tcp dport 1755 tcp flags & (syn | ack) == syn accept
    udp dport 1755 accept
    meta l4proto udp ct mark 1 accept
    udp dport 1024-5000 udp dport != @begun add @begun { udp dport } ct mark set 1 accept
  }
}
"""
GUEST = "  guest:  { zone: outside, address: 10.20.0.11 }\n"


def flows(idle, hosts=("player", "guest"), kinds=("mms-udp", "mms-tcp"), more=""):
    return "".join(f"  - {{ id: {host}-{kind[4:]}, type: {kind}, from: {host}, to: media, idle: {idle}, play: 700ms, deadline: 1s{more} }}\n" for host in hosts for kind in kinds)


def run(what, flow_text, sysctls, code, rules=RULES, section="", extra=()):
    with tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        settings = ", ".join(f"net.netfilter.{key}: {value}" for key, value in sysctls.items())
        (here / "s.yaml").write_text(two_zones.scenario(what, flow_text, "firewall: { ruleset: rules.nft" + (f", sysctls: {{ {settings} }}" if settings else "") + " }\n"
                                                        "content: { one: { synthetic: audio, bitrate: 128k } }\n" + section, hosts=GUEST))
        (here / "rules.nft").write_text(rules)
        done = subprocess.run([WMLAB, "run", "s.yaml", "--report", "json", *extra], cwd=here, capture_output=True, text=True, timeout=600)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            sys.exit(f"{what}: exit {done.returncode}: {done.stderr.strip()}")
        for problem in SCHEMA.iter_errors(report):
            wrong.append(f"{what}: the report is not as its schema says: {problem.message[:200]}")
        if done.returncode != code:
            wrong.append(f"{what}: exit {done.returncode}, expected {code}: {done.stderr}")
        return {flow["id"]: flow for flow in report["flows"]}


def check(what, flow, verdict, outcome, time_out=None, line=None, says=""):
    idle = flow.get("idle", {})
    rule = (flow["rule"] or {}).get("line")
    got = (flow["verdict"], idle.get("outcome"), idle.get("time_out", {}).get("name"))
    print(f"{what}: {flow['id']}: {flow['verdict']}, {idle.get('words')} {flow['rule'] and flow['rule']['text']}", flush=True)
    if got != (verdict, outcome, time_out) or (line is not None and rule != line) or says not in flow["explanation"] + " ".join(flow.get("notes", [])):
        wrong.append(f"{what}: {flow['id']}: {got}, line {rule}, expected {(verdict, outcome, time_out)}, line {line}, {says!r}: {flow['explanation']} {flow.get('notes')}")


quick = run("quick", flows("8s", ("guest",), ("mms-tcp",)), {"nf_conntrack_tcp_timeout_established": 5}, 0)["guest-tcp"]
check("quick", quick, "pass", "survived", says="were divided by 2 too")
check("quick", quick, "pass", "survived", says="control: nf_conntrack_tcp_timeout_established (5 s) of the firewall ran out, and the rules let it begin anew")
if sys.argv[2:] == ["all"]:
    # All of one pause in one wave: four seconds.
    short = {"nf_conntrack_udp_timeout": 10, "nf_conntrack_udp_timeout_stream": 20, "nf_conntrack_tcp_timeout_established": 10}
    all_four = run("short time-outs", flows("25s"), short, 1)
    check("short time-outs", all_four["player-udp"], "blocked", "died", "nf_conntrack_tcp_timeout_established", 4, "is 10 s")
    check("short time-outs", all_four["player-tcp"], "blocked", "died", "nf_conntrack_tcp_timeout_established", 4, "is 10 s")
    check("short time-outs", all_four["guest-udp"], "pass", "survived", says="control: nf_conntrack_tcp_timeout_established (10 s) of the firewall ran out, and the rules let it begin anew")
    check("short time-outs", all_four["guest-tcp"], "pass", "survived", says="control: nf_conntrack_tcp_timeout_established (10 s) of the firewall ran out, and the rules let it begin anew")
    media = run("media alone", flows("5m", ("player",), ("mms-udp",)), {"nf_conntrack_udp_timeout": 180}, 1)["player-udp"]
    check("media alone", media, "blocked", "died", "nf_conntrack_udp_timeout", 4, "nf_conntrack_udp_timeout is 180 s")
    if media["leg"] != "media" or media["idle"]["divisor"] != 75 or media["idle"]["seconds"] != 300:
        wrong.append(f"media alone: {media['leg']} {media['idle']}")
    late = run("a keep-alive too late", flows("5m", ("player",)), {"nf_conntrack_tcp_timeout_established": 20}, 1)
    for flow in late.values():
        check("a keep-alive too late", flow, "blocked", "died", "nf_conntrack_tcp_timeout_established", 4, "is 20 s")
    kept = run("a keep-alive in time", flows("5m", ("player",), ("mms-tcp",)), {"nf_conntrack_tcp_timeout_established": 60}, 0)["player-tcp"]
    check("a keep-alive in time", kept, "pass", "survived", says="LinkMacToViewerPing")
    own = run("rules with time-outs of their own", flows("10s", ("player",), ("mms-tcp",)), {}, 0,
              RULES.replace("flags dynamic;", "flags dynamic, timeout;").replace("add @begun { udp dport }", "add @begun { udp dport timeout 1h }"))["player-tcp"]
    check("rules with time-outs of their own", own, "pass", "survived", says="at its full length: rules.nft has time-outs of its own")
    event = run("forgotten by an event", flows("25s", ("player",), ("mms-tcp",)), {}, 1, section="events:\n  - { at: 3s, flush-conntrack: all }\n")["player-tcp"]
    check("forgotten by an event", event, "blocked", "died", None, 4, "by an event of the scenario")
for line in wrong:
    print("WRONG", line)
sys.exit(bool(wrong))
