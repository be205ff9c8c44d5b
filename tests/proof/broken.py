#!/usr/bin/env python3
"""Simulators and the kernel's trace broken on purpose: the verdict has to be inconclusive, or the truth all the same, and no rule may be named
but the right one.

    broken.py WMLAB BROKEN_TRACE [TEXT]

The simulators are wrapped by a script beside a copy of wmlab; the trace is broken by BROKEN_TRACE, a library that is loaded before the others
(broken_trace.cpp). Each damage meets a firewall that is open and one that drops the flow. One line per wrong answer, then `N passed, M failed`.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

SCENARIO = two_zones.scenario("broken", "  - { id: flow, type: TYPE, from: player, to: media }\n", """content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 700ms, play: 400ms, content: lecture }
""", ("inside", "outside"))
DROPPING = 6  # the line
RULES = """table inet filter {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    tcp dport 1000-1500 drop
    tcp dport 1755 {}
    tcp dport 1756 accept
    tcp dport 1600-2000 drop
  }
}
"""

# Runs the real simulator and does something to it or to its journal: `break_` gets each line and returns what is passed on.
WRAPPER = """#!/usr/bin/python3
import os, signal, subprocess, sys, time
arguments = [{real!r}] + sys.argv[1:]
{before}
process = subprocess.Popen(arguments, stdin=sys.stdin, stdout=subprocess.PIPE)
signal.signal(signal.SIGTERM, lambda *_: (process.kill(), sys.exit(0)))
out = sys.stdout.buffer
count = 0
while line := process.stdout.readline():
    count += 1
    {each}
    out.write(line); out.flush()
sys.exit(process.wait() & 0x7f)
"""
AT_WORK = 'b\'"event":"sent"\' in line'
FAKE = """
import json
def tell(**fields):
    fields.update(time="2026-11-24T16:31:32.123456789Z", monotonic=time.monotonic_ns(), host=sys.argv[sys.argv.index("--host") + 1], process=PROCESS)
    print(json.dumps(fields), flush=True)
"""
# A server that says it listens and does not; a player that says it received everything.
LYING_SERVER = FAKE.replace("PROCESS", '"server_sim"') + """
tell(event="started", version="0.1.0", pid=1, flows=["flow"])
tell(event="listening", protocol="tcp", local="10.10.0.10:1755", leg="control")
tell(event="ready")
for line in sys.stdin:
    if line == "stop\\n": break
tell(event="stopped", reason="stop", lines=4)
sys.exit(0)
"""
LYING_PLAYER = FAKE.replace("PROCESS", '"client_sim"') + """
tell(event="started", version="0.1.0", pid=1, flows=["flow"])
tell(event="ready")
for line in sys.stdin:
    if line == "start\\n": break
tell(event="flow-started", flow="flow", type="mms-tcp", transport="tcp", attempt=1)
tell(event="connected", flow="flow", leg="control", local="10.20.0.10:40000", remote="10.10.0.10:1755", milliseconds=1)
tell(event="received", flow="flow", leg="control", local="10.20.0.10:40000", remote="10.10.0.10:1755", message="LinkMacToViewerReportConnectedEX", bytes=100)
tell(event="media-ended", flow="flow", leg="control", packets=9, bytes=900, digests=[[n, n] for n in range(9)])
tell(event="flow-ended", flow="flow", outcome="worked", transport="tcp")
tell(event="stopped", reason="stop", lines=8)
sys.exit(0)
"""
# name: the simulator, what happens before it runs, what happens to each line, and the verdicts that are right besides `inconclusive`.
# Media that both ends account for is proven to have passed, whatever else of a journal is missing.
PROVEN = {"pass"}  # where the firewall is open
BREAKS = {
    "server never starts": ("server_sim", "sys.exit(1)", "pass", set()),
    "server killed while it works": ("server_sim", "", f"if {AT_WORK}: process.kill()", set()),
    "server stopped while it works": ("server_sim", "", f"if {AT_WORK}: process.send_signal(signal.SIGSTOP)", set()),
    "server says it listens": ("server_sim", LYING_SERVER, "pass", {"failed"}),
    "server's journal ends early": ("server_sim", "", "if count > 6: continue", set()),
    "server's journal has holes": ("server_sim", "", "if count % 3 == 2: continue", PROVEN),
    "server's journal has garbage": ("server_sim", "", "if count % 4 == 2: line = b'{\"time\": \\xff\\xfe nonsense\\n'", PROVEN),
    "server's journal twice": ("server_sim", "", "out.write(line)", PROVEN),
    "player never starts": ("client_sim", "sys.exit(1)", "pass", set()),
    "player killed while it works": ("client_sim", "", f"if {AT_WORK}: process.kill()", set()),
    "player killed before it connects": ("client_sim", "", "if b'\"connecting\"' in line: process.kill()", set()),
    "player stopped while it works": ("client_sim", "", f"if {AT_WORK}: process.send_signal(signal.SIGSTOP)", set()),
    "player says it received": ("client_sim", LYING_PLAYER, "pass", set()),
    "player's journal ends early": ("client_sim", "", "if count > 4: continue", set()),
    "player's journal has holes": ("client_sim", "", "if count % 3 == 2: continue", PROVEN),
    "player's journal has garbage": ("client_sim", "", "if count % 4 == 2: line = b'\\x00\\x01garbage{{{\\n'", PROVEN),
}
TRACES = {"overflow": True, "lost": False, "silent": False, "killed": True, "garbage": False, "cut": False, "handles": False}  # True: the report has to say so
TRUTH = {"accept": "pass", "drop": "blocked"}


def run(wmlab, directory, type_, rule, environment=None):
    scenario, rules = directory / f"{rule}.yaml", directory / f"{rule}.nft"
    scenario.write_text(SCENARIO.replace("TYPE", type_))
    rules.write_text(RULES.replace("{}", rule))
    done = subprocess.run([wmlab, "run", scenario, "--ruleset", rules, "--report", "json:-", "--quiet"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})})
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"flows": [], "error": f"exit {done.returncode}: {done.stderr[-400:]}"}


def rule_problem(flow, rule):
    named = flow["rule"] or next((leg["rule"] for leg in flow["legs"] if leg.get("rule")), None)
    right = {"drop": {DROPPING}, "accept": {DROPPING, 4}}[rule]
    if named and named["line"] not in right:
        return f"names a wrong rule: {named}"
    return None


def broken_simulator(wmlab, name, rule):
    simulator, before, each, besides = BREAKS[name]
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        copy = directory / "wmlab"
        try:
            os.link(wmlab, copy)
        except OSError:
            shutil.copy(wmlab, copy)
        for other in ("server_sim", "client_sim", "encoder_sim"):
            real = wmlab.parent / other
            if other != simulator:
                os.symlink(real, directory / other)
                continue
            (directory / other).write_text(WRAPPER.format(real=str(real), before=before, each=each))
            (directory / other).chmod(0o755)
        report = run(copy, directory, "mms-tcp", rule)
    if not report["flows"]:
        return f"no flow in the report: {report.get('error')}"
    flow = report["flows"][0]
    if flow["verdict"] not in {"inconclusive"} | (besides - PROVEN if rule == "drop" else besides):
        return f"{flow['verdict']} at {flow['leg']}, {flow['cause']}: {flow['explanation']}"
    if flow["verdict"] == "inconclusive" and (flow["cause"] or not flow.get("reason") or not flow["explanation"]):
        return f"inconclusive without a reason: {flow}"
    return rule_problem(flow, rule)


def broken_trace(wmlab, library, mode, rule):
    with tempfile.TemporaryDirectory() as temporary:
        report = run(wmlab, pathlib.Path(temporary), "mms-tcp", rule, {"LD_PRELOAD": library, "WMLAB_BREAK_TRACE": mode})
    if not report["flows"]:
        return f"no flow in the report: {report.get('error')}"
    flow = report["flows"][0]
    if flow["verdict"] != TRUTH[rule]:
        return f"{flow['verdict']} at {flow['leg']}, {flow['cause']}: {flow['explanation']}"
    if TRACES[mode] and not any("trace" in note for note in report.get("notes", [])):
        return f"does not say that the trace is not whole: {report.get('notes')}"
    return rule_problem(flow, rule)


def main():
    wmlab, library = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    text = sys.argv[3] if len(sys.argv) > 3 else ""
    jobs, failed = [], 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        for rule in TRUTH:
            for name in BREAKS:
                if text in name:
                    jobs.append((f"{name}, {rule}", pool.submit(broken_simulator, wmlab, name, rule)))
            for mode in TRACES:
                if text in f"trace {mode}":
                    jobs.append((f"trace {mode}, {rule}", pool.submit(broken_trace, wmlab, library, mode, rule)))
        for name, job in jobs:
            if why := job.result():
                failed += 1
                print(f"WRONG {name}: {why}")
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
