#!/usr/bin/env python3
"""Nobody waits for packets that a rule is known to drop however often they are sent, and everybody does for those that another try might bring.
Usage: hopeless.py WMLAB

Each way to lose what somebody waits for is played with a deadline of half a minute, alone in its ruleset: where the rule looks at nothing but addresses, ports and the connection's
state the run takes seconds. Then rules that drop a few packets of the same two ports and let those through that are sent
again: those streams are played to their end."""
import json, pathlib, subprocess, sys, tempfile, time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
import two_zones

WMLAB = str(pathlib.Path(sys.argv[1]).resolve())
DEADLINE = 30
wrong = []

RULES = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy accept
    %s
  }
}
"""
MMS_UDP = "  - { id: one, type: mms-udp, from: player, to: media, play: 300ms, deadline: %ds }\n" % DEADLINE
MMS_TCP = MMS_UDP.replace("mms-udp", "mms-tcp")
PROBE_UDP = "  - { id: one, type: probe, from: player, to: media, protocol: udp, ports: [9000], deadline: %ds }\n" % DEADLINE
HTTP = "  - { id: one, type: http, from: player, to: media, play: 300ms, deadline: %ds }\n" % DEADLINE

# What is lost, the flow, the rule; the leg and direction of the verdict
LOST = [
    ("the SYN", MMS_TCP, "tcp dport 1755 drop", "control", "from->to"),
    ("the SYN, of MMS over UDP", MMS_UDP, "tcp dport 1755 drop", "control", "from->to"),
    ("the SYN, of HTTP", HTTP, "tcp dport 80 drop", "http", "from->to"),
    ("the SYN-ACK", MMS_TCP, "tcp sport 1755 drop", "control", "to->from"),
    ("the SYN-ACK, by its flags", HTTP, "ip saddr 10.10.0.10 tcp flags & (syn | ack) == syn | ack drop", "http", "to->from"),
    ("the media, header and all", MMS_UDP, "ip saddr 10.10.0.10 udp dport 1024-5000 drop", "media", "to->from"),
    ("the media, by the state of the connection", MMS_UDP, "ct state new meta l4proto udp drop", "media", "to->from"),
    ("a datagram of a probe", PROBE_UDP, "udp dport 9000 drop", None, "from->to"),
]
# What is dropped, the flow, the rule; the leg whose packets came only when they were sent again
NO_REASON = [
    ("the first parts of the header", MMS_UDP, "ip saddr 10.10.0.10 udp dport 1024-5000 quota until 1000 bytes drop", "media"),
    ("every SYN but each third", MMS_TCP, "tcp flags & (syn | ack) == syn numgen inc mod 3 < 2 drop", "control"),
    ("the first SYN-ACK", MMS_TCP, "tcp flags & (syn | ack) == (syn | ack) quota until 60 bytes drop", "control"),
]


def run(folder, name, flow, rule):
    (folder / "s.yaml").write_text(two_zones.scenario("waits", flow, "firewall: { ruleset: r.nft }\ncontent: { lecture: { synthetic: audio, bitrate: 64k } }\ndefaults: { content: lecture }\n"))
    (folder / "r.nft").write_text(RULES % rule)
    began = time.monotonic()
    done = subprocess.run([WMLAB, "run", "s.yaml", "--report", "json"], cwd=folder, capture_output=True, text=True, timeout=10 * DEADLINE)
    took = time.monotonic() - began
    try:
        return json.loads(done.stdout)["flows"][0], took
    except ValueError:
        sys.exit(f"{name}: exit {done.returncode}: {done.stderr.strip()}")


def check(name, holds, got):
    if not holds:
        wrong.append(f"{name}: {got}")


with tempfile.TemporaryDirectory() as place:
    folder = pathlib.Path(place)
    for name, flow, rule, leg, direction in LOST:
        got, took = run(folder, name, flow, rule)
        print(f"lost: {name}: {got['verdict']} at {got['leg']} {got['direction']}, {took:.1f} s", flush=True)
        check(name, got["verdict"] == "blocked" and got["direction"] == direction and (leg is None or got["leg"] == leg), got["explanation"])
        check(name, (got["rule"] or {}).get("line") == 4, got["rule"])
        check(name, took < DEADLINE / 2, f"{took:.1f} s")
    for name, flow, rule, leg in NO_REASON:
        got, took = run(folder, name, flow, rule)
        print(f"no reason: {name}: {got['verdict']} at {got['leg']}, {took:.1f} s", flush=True)
        check(name, got["verdict"] != "blocked" and all(one["verdict"] in ("pass", "degraded") for one in got["legs"]), got["explanation"])
        check(name, [one for one in got["legs"] if one["name"] == leg and any(isinstance(way, dict) and way["left"] > way["arrived"] for way in one["ledger"].values())], got["legs"])

for line in wrong:
    print("WRONG", line)
print(f"{len(LOST) + len(NO_REASON)} tried, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
