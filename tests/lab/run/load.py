#!/usr/bin/env python3
"""Loads through the real firewall: what all players together came to, who is stopped by which line, and who was the limit.
Usage: load.py WMLAB. Each row says what must come out; prints what does not."""
import json, pathlib, subprocess, sys, tempfile

import jsonschema

ROOT = pathlib.Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests"))
import two_zones

WMLAB = sys.argv[1]
SCHEMA = json.loads((ROOT / "docs/report.schema.json").read_text())
BOX = "table inet t {\n chain c {\n  type filter hook forward priority 0; policy accept;\n  %s\n }\n}\n"
LINE = 4  # of the rule
wrong = []


def run(rows, rule=None, format="json"):
    """`rows`: id, type and load of each flow, and what else it says."""
    flows = "".join(f"  - {{ id: {id}, type: {type}, from: player, to: media, load: {{ {load} }}{more} }}\n" for id, type, load, more in rows)
    with tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        here.chmod(0o755)
        (here / "s.yaml").write_text(two_zones.scenario("crowds", flows, "content: { one: { synthetic: audio, bitrate: 64k } }\n"
                                                        "defaults: { deadline: 3s, play: 700ms }\n"))
        (here / "rules.nft").write_text(BOX % (rule or ""))
        done = subprocess.run([WMLAB, "run", "s.yaml", "--ruleset", "rules.nft", "--report", format], cwd=here, capture_output=True, text=True, timeout=120)
    if format != "json":
        return done.returncode, done.stdout
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"exit {done.returncode}: {done.stderr}")
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    return done.returncode, report


def check(what, holds, seen):
    if not holds:
        wrong.append(f"{what}: {json.dumps(seen, indent=1) if not isinstance(seen, str) else seen}")


def all_pass():
    rows = [("udp", "mms-udp", "players: 20, ramp: 500ms, duration: 700ms", ""), ("tcp", "mms-tcp", "players: 20, ramp: 500ms, duration: 700ms", ""),
            ("web", "http", "players: 20, ramp: 500ms, duration: 700ms, rate: 128k", ', expect: { verdict: pass, loss: "<1%", setup_p95: "<60s" }'),
            ("auto", "mms-auto", "players: 1", "")]
    code, report = run(rows)
    check("all pass", code == 0 and len(report["flows"]) == 61 and all(flow["verdict"] == "pass" for flow in report["flows"]),
          [(flow["id"], flow["verdict"], flow["explanation"]) for flow in report["flows"] if not flow["as_expected"]])
    loads = {load["load"]: load for load in report["loads"]}
    check("all pass", set(loads) == {"udp", "tcp", "web", "auto"}, report["loads"])
    for name, load in loads.items():
        players = 1 if name == "auto" else 20
        check(name, load["players"] == load["set_up"] == load["worked"] == players and load["lost"] == 0 and load["firewall"] == {"lost": 0, "rules": []} and
              load["limit"] != "firewall" and load["packets"] > players and 0 < load["setup"]["p50"] <= load["setup"]["p95"] <= load["setup"]["p99"] and
              load["jitter"] and load["machine"]["late"] >= 0, load)
        check(name, sum(second["set_up"] for second in load["seconds"]) == players and sum(second["packets"] for second in load["seconds"]) == load["packets"] and
              max(second["playing"] for second in load["seconds"]) <= players, load["seconds"])
    # The ramp: the last of twenty begins 19/20 of it after the first.
    starts = sorted(flow["seconds"] for flow in report["flows"] if flow["id"].startswith("tcp#"))
    check("the ramp", starts[-1] - starts[0] > 0.3, starts)
    rate = {name: load["packets"] for name, load in loads.items()}
    check("the rate", rate["web"] > 1.4 * rate["tcp"], rate)


def a_limit_of_connections():
    code, report = run([("crowd", "mms-tcp", "players: 20, ramp: 400ms, duration: 1s", "")], "tcp dport 1755 ct state new ct count over 12 reject with tcp reset")
    load, = report["loads"]
    stopped = [flow for flow in report["flows"] if flow["verdict"] != "pass"]
    check("a limit of connections", code == 1 and len(stopped) == 8 and load["worked"] == load["set_up"] == 12 and load["limit"] == "firewall" and load["setup_p95"] is None, load)
    for flow in stopped:
        check("a limit of connections", flow["verdict"] == "blocked" and (flow["rule"] or {}).get("line") == LINE and
              any("depends on what was played" in note for note in flow["notes"]), flow)
    rules = load["firewall"]["rules"]
    check("a limit of connections", [rule["line"] for rule in rules] == [LINE] and rules[0]["players"] == 8, load)


def a_limit_of_a_rate():
    """SYNs that come again a second later: everybody works, and 95 of 100 are not set up in time."""
    code, report = run([("crowd", "http", "players: 20, duration: 1s", ', expect: { verdict: pass, setup_p95: "<700ms" }')],
                       "tcp dport 80 tcp flags syn limit rate over 10/second burst 10 packets drop")
    load, = report["loads"]
    check("a limit of a rate", code == 1 and load["worked"] > 10 and load["setup"]["p95"] > 900 and load["limit"] == "firewall" and
          load["firewall"]["lost"] > 0 and load["firewall"]["rules"][0]["line"] == LINE and report["summary"]["unexpected"] == 20, load)


def media_that_is_lost():
    code, report = run([("crowd", "mms-udp", "players: 10, ramp: 200ms, duration: 1s", ', max_loss: 90%, expect: { verdict: pass, loss: "<1%" }')],
                       "udp sport 1755 udp dport 1024-5000 numgen inc mod 5 0 drop")
    load, = report["loads"]
    check("media that is lost", code == 1 and 0.05 < load["loss"] < 0.5 and load["limit"] == "firewall" and load["firewall"]["rules"][0]["line"] == LINE, load)
    code, text = run([("crowd", "mms-tcp", "players: 3", "")], "tcp dport 1755 drop", "text")
    words = " ".join(text.split())
    check("words", code == 1 and "load crowd: 3 players of mms-tcp from player to media" in words and "Nobody was set up" in words and
          f"The firewall was the limit: 0 of 3 players worked" in words and f"rules.nft:{LINE}: tcp dport 1755 drop" in words, text)


all_pass()
a_limit_of_connections()
a_limit_of_a_rate()
media_that_is_lost()
print("\n".join(wrong) or "all as expected")
sys.exit(1 if wrong else 0)
