#!/usr/bin/env python3
"""A trace that loses events names no wrong rule. Many sessions at once through a firewall of which every rule is known, with a buffer for the
kernel's trace that cannot hold what it says (`--trace-buffer`). Each flow has ports of its own and one rule that decides about it: the report must
name that rule or none, say that messages were lost, and judge as without the trace. With counters in the rules every rule that stops a flow is named.

    trace_loss.py WMLAB [--flows N] [--buffer BYTES]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

HEAD = two_zones.scenario("trace loss")


def site(flows, counter):
    """Scenario, ruleset, and by flow: whether it is stopped, and the line that decides."""
    text, rules = HEAD, ["table inet filter {", " chain forward {", "  type filter hook forward priority filter; policy accept;",
                             "  ct state established,related accept"]
    truth = {}
    for number in range(flows):
        protocol, port, stopped = ("tcp", "udp")[number % 2], 2000 + number, number % 4 < 2
        name = f"flow-{number}"
        expected = "expect: blocked, " if stopped else ""
        text += f"  - {{ id: {name}, type: probe, from: player, to: media, protocol: {protocol}, ports: [{port}], {expected}deadline: 1s }}\n"
        rules.append(f"  {protocol} dport {port} {counter}{'drop' if stopped else 'accept'}")
        truth[name] = (stopped, len(rules))
    return text, "\n".join(rules + [" }", "}"]) + "\n", truth


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wmlab")
    parser.add_argument("--flows", type=int, default=200)
    parser.add_argument("--buffer", type=int, default=4608)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        folder.chmod(0o755)
        for counter in ("", "counter "):
            text, rules, truth = site(options.flows, counter)
            (folder / "scenario.yaml").write_text(text)
            (folder / "rules.nft").write_text(rules)
            for who in two_zones.everyone():
                for buffer in (options.buffer, 0):
                    done = subprocess.run([options.wmlab, "run", folder / "scenario.yaml", "--ruleset", folder / "rules.nft", "--report", "json", "--quiet",
                                           *(["--trace-buffer", str(buffer)] if buffer else [])], capture_output=True, text=True, timeout=300, **two_zones.become(who))
                    try:
                        report = json.loads(done.stdout)
                    except ValueError:
                        print(f"WRONG {who}: exit {done.returncode}: {done.stderr[-800:]}")
                        failed = True
                        continue
                    named = wrong = misjudged = stopped_named = 0
                    for flow in report["flows"]:
                        stopped, line = truth[flow["id"]]
                        misjudged += flow["verdict"] != ("blocked" if stopped else "pass")
                        lines = {leg["rule"]["line"] for leg in flow["legs"] if leg.get("rule")}
                        if flow.get("rule"):
                            lines.add(flow["rule"]["line"])
                        named += bool(lines)
                        stopped_named += bool(lines) and stopped
                        wrong += bool(lines - {line})
                    stopped_flows = sum(stopped for stopped, _ in truth.values())
                    lost = any("lost messages" in note for note in report.get("notes", []))
                    good = not wrong and not misjudged and lost == bool(buffer) and (buffer or named == options.flows) and (not counter or stopped_named == stopped_flows)
                    failed = failed or not good
                    print(f"{'ok   ' if good else 'WRONG'} {who}, {'rules that count' if counter else 'plain rules'}, "
                          f"{f'buffer of {buffer} bytes' if buffer else 'buffer as usual'}: {options.flows} flows, {misjudged} misjudged, rules named {named} "
                          f"({stopped_named} of stopped flows), {wrong} wrong; messages {'' if lost else 'not '}lost", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
