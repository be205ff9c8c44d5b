#!/usr/bin/env python3
"""Plays scenarios/broadcast-day.yaml with an encoder that is killed in the middle and started again.

    killed_encoder.py WMLAB SCENARIO

The origin connects again, every player goes on with one session, and the report says how long nothing came and how many packets are missing.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# Stands before the real encoder_sim: the same lines for both lives of it.
STAND_IN = """#!/usr/bin/env python3
import subprocess, sys, time
said = b""
def live(): return subprocess.Popen([{real!r}] + sys.argv[1:], stdin=subprocess.PIPE)
def tell(encoder, lines): encoder.stdin.write(lines); encoder.stdin.flush()
first = live()
while not said.endswith(b"\\nstart\\n"):
    line = sys.stdin.buffer.readline()
    said += line
    tell(first, line)
time.sleep(1)
first.kill(); first.wait()
second = live()
tell(second, said)
while line := sys.stdin.buffer.readline(): tell(second, line)
second.stdin.close()
sys.exit(second.wait())
"""


def main():
    wmlab, scenario = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    problems = []
    with tempfile.TemporaryDirectory(dir=wmlab.parent) as temporary:
        programs = pathlib.Path(temporary)
        for name in ("wmlab", "server_sim", "client_sim"):
            os.link(wmlab.parent / name, programs / name)
        (programs / "encoder_sim").write_text(STAND_IN.format(real=str(wmlab.parent / "encoder_sim")))
        (programs / "encoder_sim").chmod(0o755)
        text = scenario.read_text().replace("ruleset: rules/", f"ruleset: {scenario.parent}/rules/").replace("play: 2s", "play: 4s")
        (programs / "chain.yaml").write_text(text)
        run = subprocess.run([programs / "wmlab", "run", programs / "chain.yaml", "--report", "json:-", "--quiet", "--journal", programs / "journals"],
                             stdout=subprocess.PIPE, text=True)
        report = json.loads(run.stdout)
        for flow in report["flows"]:
            if flow["verdict"] != "pass":
                problems.append(f"{flow['id']}: {flow['verdict']}: {flow.get('explanation')}")
        feed = next(flow for flow in report["flows"] if flow["id"] == "contribution")
        print("contribution:", feed.get("notes"))
        if not any("nothing came for" in note for note in feed.get("notes", [])):
            problems.append("the report does not say what was lost")
        players = 0
        for path in (programs / "journals").glob("*.client_sim.jsonl"):
            for event in map(json.loads, path.read_text().splitlines()):
                if event["event"] != "media-ended":
                    continue
                players += 1
                if event["lost"] or event["damaged"] or event["longest_gap"] < 200:
                    problems.append(f"{event['host']}: {event['flow']}: " + json.dumps({key: event[key] for key in ("lost", "damaged", "longest_gap")}))
    for problem in problems:
        print(problem)
    print(f"{players} players went on" if not problems else f"{len(problems)} problems")
    return 1 if problems or players == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
