#!/usr/bin/env python3
"""What the scenario's `events:` do to streams that play, through the real kernel. What the report says of each reload is held against
the captures of both wires, packet by packet, counted here by itself.
Usage: events.py WMLAB [--count N] [--only PART]: N reloads of each kind (100 takes minutes)."""
import argparse, calendar, collections, json, pathlib, re, struct, subprocess, sys, tempfile, time

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
import two_zones

arguments = argparse.ArgumentParser()
arguments.add_argument("wmlab")
arguments.add_argument("--count", type=int, default=5)
arguments.add_argument("--only", default="")
options = arguments.parse_args()
options.wmlab = str(pathlib.Path(options.wmlab).resolve())
wrong = []

GOOD = """flush ruleset
table inet filter { chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "fw-out" oifname "fw-in" tcp dport { 80, 1755 } accept
    iifname "fw-out" oifname "fw-in" udp dport 1755 accept
    iifname "fw-in" oifname "fw-out" udp dport 1024-5000 accept
}
}
"""
NO_MEDIA = GOOD.replace('    iifname "fw-in" oifname "fw-out" udp dport 1024-5000 accept\n', "").replace('    iifname "fw-out" oifname "fw-in" udp dport 1755 accept\n', "")
FORGETFUL = GOOD.replace("    ct state established,related accept\n", "").replace("policy drop;", "policy drop;\n    tcp flags syn / syn,ack accept")
SAVE = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i fw-out -p tcp -m multiport --dports 80,1755 -j ACCEPT
-A FORWARD -i fw-out -p udp --dport 1755 -j ACCEPT
-A FORWARD -i fw-in -p udp --dport 1024:5000 -j ACCEPT
COMMIT
"""
SHUT = "flush ruleset\ntable inet filter { chain forward { type filter hook forward priority filter; policy drop;\n}\n}\n"


def flows(play, deadline="2s", kinds=("mms-udp", "mms-tcp", "http"), more=""):
    return "".join(f"  - {{ id: {kind}, type: {kind}, from: player, to: media, play: {play}, deadline: {deadline}{more} }}\n" for kind in kinds)


def run(what, events, flow_text, first=GOOD, files=None, extra=(), section="", rate="128k"):
    """The report, and with it what the wires saw."""
    with tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        text = two_zones.scenario(what.replace(":", ""), flow_text, f"content: {{ one: {{ synthetic: audio, bitrate: {rate} }} }}\n" "defaults: { content: one, max_loss: 1 }\n" + section +
                                  "events:\n" + "".join(f"  - {{ {event} }}\n" for event in events))
        (here / "s.yaml").write_text(text)
        (here / "first").write_text(first)
        for file, content in {"good.nft": GOOD, "no-media.nft": NO_MEDIA, "forgetful.nft": FORGETFUL, "shut.nft": SHUT, "save": SAVE, **(files or {})}.items():
            (here / file).write_text(content)
        done = subprocess.run([options.wmlab, "run", "s.yaml", "--ruleset", "first", "--report", "json", "--pcap", "wires", "--journal", "journals", *extra],
                              cwd=here, capture_output=True, text=True, timeout=600)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            wrong.append(f"{what}: exit {done.returncode}: {done.stderr.strip()}")
            return {"flows": [], "events": [], "exit": done.returncode}
        report["exit"] = done.returncode
        report["wires"] = {host: packets(here / "wires" / f"{host}.pcapng") for host in ("media", "player")}
        happened = [event for file in (here / "journals").glob("*.jsonl") for event in map(json.loads, file.read_text().splitlines()) if event.get("event") == "happened"]
        for event in happened:
            second, part = event["time"].rstrip("Z").split(".")
            event["offset"] = calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(part.ljust(9, "0")) - event["monotonic"]
        report["happened"] = happened
        return report


def packets(file):
    """Of one wire: (time in ns, protocol, addresses with ports, identity, flags), counted from the file's own bytes."""
    data, at, found, units = file.read_bytes(), 0, [], []
    while at + 12 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + size - 4]
        if kind == 1:
            units.append(9)  # if_tsresol, as wmlab writes it
        elif kind == 6:
            high, low, captured = struct.unpack_from("<III", body, 4)
            frame = body[20:20 + captured]
            if frame[12:14] == b"\x08\x00":
                head = (frame[14] & 15) * 4
                ip, rest = frame[14:14 + head], frame[14 + head:14 + struct.unpack_from(">H", frame, 16)[0]]
                if ip[9] in (6, 17) and len(rest) >= 8:
                    ports = struct.unpack_from(">HH", rest)
                    tcp = ip[9] == 6
                    skip = (rest[12] >> 4) * 4 if tcp else 8
                    flags = rest[13] if tcp else 0
                    identity = (ip[4:6], rest[4:8] if tcp else b"", flags, rest[skip:])
                    found.append(((high << 32) | low, ip[9], (ip[12:16], ports[0]), (ip[16:20], ports[1]), identity, flags))
        at += size
    return found


def lost_packets(report, wanted):
    """Times at which packets left one wire that never reached the other; of TCP before the first end closed. `wanted`: takes protocol and the server's port."""
    addresses = {"media": bytes((10, 10, 0, 10)), "player": bytes((10, 20, 0, 10))}
    ended = {}
    for host in report["wires"]:
        for when, protocol, source, destination, _, flags in report["wires"][host]:
            if protocol == 6 and flags & 5:
                key = frozenset((source, destination))
                ended[key] = min(ended.get(key, when), when)
    lost, passed = [], []
    for host, other in (("media", "player"), ("player", "media")):
        there = collections.Counter((p[1:5]) for p in report["wires"][other] if p[2][0] == addresses[host])
        for when, protocol, source, destination, identity, flags in report["wires"][host]:
            if source[0] != addresses[host] or not wanted(protocol, source[1], destination[1]):
                continue
            key = (protocol, source, destination, identity)
            if there[key] > 0:
                there[key] -= 1
                passed.append(when)
            elif when <= ended.get(frozenset((source, destination)), when):
                lost.append(when)
    return sorted(lost), sorted(passed)


def effects(report, flow):
    return next((f.get("events", []) for f in report["flows"] if f["id"] == flow), [])


def check(what, report, **wanted):
    """By flow: what the (only) event did to it."""
    said = []
    for flow, want in wanted.items():
        flow = flow.replace("_", "-")
        got = effects(report, flow)
        impact = got[0]["impact"] if got else None
        said.append(f"{flow} {got[0]['words'] if got else None}")
        if impact not in (want if isinstance(want, tuple) else (want,)):
            wrong.append(f"{what}: {flow}: {impact!r}, expected {want!r}: {json.dumps(got)} {next((f['explanation'] for f in report['flows'] if f['id'] == flow), '')}")
        if any(not effect["complete"] for effect in got):
            wrong.append(f"{what}: {flow}: not every packet is accounted for")
    print(f"{what}: {'; '.join(said)}", flush=True)


def agree(what, report, sort, leaks=False):
    """The report's numbers of each event and all flows, and the captures'."""
    events = sorted(report["happened"], key=lambda event: event["began"])
    if not events:
        return wrong.append(f"{what}: nothing happened: {report.get('events')}")
    wall = [event["began"] + event["offset"] for event in events]
    lost, passed = lost_packets(report, sort)
    bounds = wall + [1 << 63]
    apart = 0
    # Which of the last packets still found their receiver is only known to the ends of the flow, not to the captures.
    over = max((when for packets in report["wires"].values() for when, *_ in packets), default=0) - 200_000_000
    for i, event in enumerate(events):
        mine = sum(bounds[i] <= when < bounds[i + 1] for when in lost)
        told = sum(effect["lost"] for flow in report["flows"] for effect in flow.get("events", []) if effect["event"] == event["incident"])
        near = sum(abs(when - bound) < 100_000 for bound in (bounds[i], bounds[i + 1]) for when in lost)  # clocks of the two records
        near += sum(max(bounds[i], over) <= when < bounds[i + 1] for when in lost)
        slack = event["ended"] - event["began"]
        leaked = sum(bounds[i] - 100_000 <= when <= bounds[i] + slack + 100_000 for when in passed)
        slipped = sum(effect["slipped"] for flow in report["flows"] for effect in flow.get("events", []) if effect["event"] == event["incident"])
        sure = sum(bounds[i] + 100_000 <= when <= bounds[i] + slack - 100_000 for when in passed)
        if abs(mine - told) > near or (slipped and not sure <= slipped <= leaked) or (leaks and sure and not slipped):
            apart += 1
            wrong.append(f"{what}: event {i}: {told} lost are told and the captures have {mine}; {slipped} slipped, {leaked} passed meanwhile")
    total = sum(effect["lost"] for flow in report["flows"] for effect in flow.get("events", []))
    print(f"{what}: {len(events) - apart} of {len(events)} reloads agree with the captures; {total} packets lost, "
          f"{sum(e['slipped'] for f in report['flows'] for e in f.get('events', []))} slipped through", flush=True)
    return total


def reloads():
    count = options.count
    def played(step):
        return f"{int((count * step + 1) * 1000)}ms"
    def events(more, step=0.06):
        return [f"at: {int((0.4 + i * step) * 1000)}ms, reload: {more}" for i in range(count)]
    play = played(0.06)
    any_port = lambda protocol, source, destination: True
    for name, first, more, kept in (("nft -f, all at once", GOOD, "good.nft", True), ("flushed first, then loaded", GOOD, "good.nft, apply: flush-first", True),
                                    ("iptables-restore", SAVE, "save", True), ("nft as a program", GOOD, 'good.nft, apply: [nft, -f, "{ruleset}"]', True),
                                    ("shut, then loaded by a script", GOOD, 'good.nft, apply: [sh, -c, "nft -f shut.nft; nft -f {ruleset}"]', False)):
        report = run(name, events(more), flows(play, kinds=("mms-udp", "mms-tcp")), first, extra=("--trust",))
        total = agree(name, report, any_port)
        if kept and total:
            wrong.append(f"{name}: {total} packets of established streams were lost")
        for flow in ("mms-udp", "mms-tcp"):
            impacts = collections.Counter(effect["impact"] for effect in effects(report, flow))
            if kept and set(impacts) != {"untouched"}:
                wrong.append(f"{name}: {flow}: {dict(impacts)}")
    # A stream that the rules stop comes through while there are none.
    stopped = flows(played(0.15), deadline=played(0.15), kinds=("multicast",), more=", group: 239.1.2.3, port: 8080").replace("from: player, to: media", "from: media, to: player")
    leaky = 'no-media.nft, apply: [sh, -c, "nft flush ruleset; sleep 0.03; nft -f {ruleset}"]'
    for name, more, leaks in (("leaks of a stopped stream", leaky, True), ("no leak all at once", "no-media.nft", False)):
        report = run(name, events(more, 0.15), stopped, NO_MEDIA, extra=("--trust",), rate="2M")
        agree(name, report, any_port, leaks)
        slipped = sum(effect["slipped"] for effect in effects(report, "multicast"))
        if bool(slipped) != leaks:
            wrong.append(f"{name}: {slipped} packets slipped through")


def others():
    three = flows("2500ms")
    check("reload of the same rules", run("same", ["at: 900ms, reload: good.nft, expect: untouched"], three), mms_udp="untouched", mms_tcp="untouched", http="untouched")
    check("reload without media", run("media", ["at: 900ms, reload: no-media.nft"], three), mms_udp=("died", "untouched"), mms_tcp="untouched", http="untouched")
    forgot = run("forgetful", ["at: 900ms, reload: forgetful.nft, expect: survived"], three)
    check("reload that forgets established", forgot, mms_tcp="died", http="died")
    if forgot["exit"] != 1:
        wrong.append(f"reload that forgets established: exit {forgot['exit']}, though survived was expected")
    # What the server sends is nothing that the rules begin with, and the player has nothing to say until something comes.
    check("forgotten connections", run("conntrack", ["at: 900ms, flush-conntrack: all"], three), mms_tcp="died", mms_udp="untouched")
    check("forgotten connections of a server that may begin", run("conntrack", ["at: 900ms, flush-conntrack: all"], three, GOOD.replace("policy drop;", "policy drop; iifname fw-in accept;")),
          mms_tcp="untouched", mms_udp="untouched", http="untouched")
    check("link down", run("link", ["at: 900ms, link: { zone: outside, down: 400ms }"], three), mms_udp=("interrupted",), mms_tcp=("interrupted",), http="interrupted")
    check("block for a time", run("block", ["at: 900ms, block: { rule: tcp sport 1755, for: 300ms }"], three), mms_tcp="interrupted", http="untouched")
    check("block for good", run("block for good", ["at: 900ms, block: tcp sport 80"], three), http="died", mms_tcp="untouched")
    check("server killed", run("kill", ["at: 900ms, kill: media"], three), mms_udp="died", mms_tcp="died", http="died")
    # Who is started again serves again: those who ask then are served, those who had asked are not.
    check("server restarted", run("restart", ["at: 900ms, restart: media"], three), mms_udp="died", mms_tcp="died", http="died")
    check("a rollover", run("rollover", ["at: 1100ms, block: udp dport 1024-5000"], flows("2500ms", kinds=("mms-auto",))), mms_auto=("rolled-over", "died"))
    check("a sysctl", run("sysctl", ["at: 900ms, sysctl: { net.ipv4.ip_forward: 0 }"], three), mms_udp="died", mms_tcp="died")
    late = run("late", ["at: 20s, flush-conntrack: all"], flows("300ms"))
    if late["exit"] != 4 or not late["events"] or "did not happen" not in late["events"][0].get("problem", ""):
        wrong.append(f"an event after the end: {late['events']}")


def live():
    """--live: what users notice stands beside what the change breaks and opens."""
    schema = json.loads((pathlib.Path(__file__).parents[3] / "docs/report.schema.json").read_text())
    two = flows("2s", kinds=("mms-udp", "mms-tcp"))

    def gate(what, new, code, says, section="", flow_text=two, first=GOOD, extra=()):
        with tempfile.TemporaryDirectory() as name:
            here = pathlib.Path(name)
            (here / "s.yaml").write_text(two_zones.scenario(what.replace(":", ""), flow_text, "content: { one: { synthetic: audio, bitrate: 128k } }\ndefaults: { content: one, max_loss: 1 }\n" + section))
            (here / "old.nft").write_text(first)
            (here / "shut.nft").write_text(SHUT)
            (here / "new.nft").write_text(new)
            done = subprocess.run([options.wmlab, "run", "s.yaml", "--baseline", "old.nft", "--ruleset", "new.nft", "--live", "--report", "json", "--report", "text:text",
                                   "--report", "markdown:markdown", "--report", "html:html", "--report", "junit:junit", *extra], cwd=here, capture_output=True, text=True, timeout=300)
            print(f"{what}: exit {done.returncode}: " + (re.sub(r"\s+", " ", (here / "text").read_text().split("what users notice")[-1]) if (here / "text").exists() else done.stderr)[:300], flush=True)
            if done.returncode != code:
                wrong.append(f"{what}: exit {done.returncode}, expected {code}: {done.stderr}")
            if code in (2, 3):
                if says not in done.stderr:
                    wrong.append(f"{what}: {done.stderr!r} does not say {says!r}")
                return
            for problem in jsonschema.Draft202012Validator(schema).iter_errors(json.loads(done.stdout)):
                wrong.append(f"{what}: the report is not as its schema says: {problem.message[:200]}")
            for report in ("text", "markdown", "html", "junit"):
                if says not in re.sub(r"\s+", " ", (here / report).read_text().replace("\\", "")):
                    wrong.append(f"{what}: {report} does not say {says!r}")

    gate("live: a remark more", GOOD + "# a remark\n", 0, "untouched")
    gate("live: a ruleset that forgets `established`", FORGETFUL, 1, "died: nothing came any more")
    script = 'firewall: { apply: [sh, -c, "nft -f shut.nft; sleep 1; nft -f {ruleset}"] }\n'
    gate("live: a script that shuts and loads", GOOD, 0, "interrupted for", script, flows("3s", kinds=("mms-tcp",)), extra=("--trust",))
    gate("live: a script that fails", GOOD, 1, "exit status 3", 'firewall: { apply: [sh, -c, "exit 3", "{ruleset}"] }\n', extra=("--trust",))
    gate("live: a file that flushes nothing", GOOD.replace("flush ruleset\n", ""), 0, "flushes nothing")
    gate("live: a program that is not trusted", GOOD, 2, "--trust", 'firewall: { apply: [sh, -c, "nft -f {ruleset}"] }\n')
    for arguments, says in ((["--live"], "--baseline"), (["--live", "--baseline", "x", "--keep"], "--keep")):
        with tempfile.TemporaryDirectory() as name:
            (pathlib.Path(name) / "s.yaml").write_text(two_zones.scenario("x", two_zones.PROBE_80))
            done = subprocess.run([options.wmlab, "run", "s.yaml", *arguments], cwd=name, capture_output=True, text=True, timeout=60)
            if done.returncode != 2 or says not in done.stderr:
                wrong.append(f"{arguments}: exit {done.returncode}: {done.stderr}")


for name, part in (("reloads", reloads), ("others", others), ("live", live)):
    if options.only in ("", name):
        part()
for line in wrong:
    print("WRONG", line)
sys.exit(bool(wrong))
