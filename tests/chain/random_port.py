#!/usr/bin/env python3
"""The random port of MSBD's fallback is none that another flow needs on that host: nearly all of 1024-5000 are needed here.

    random_port.py WMLAB
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import two_zones  # noqa: E402

FLOWS = """  - { id: feed, type: msbd, from: player, to: media, source: server, content: event, port: fallback }
  - { id: needed, type: probe, from: player, to: media, protocol: tcp, ports: [1024-4990] }
"""
CONTENT = "content: { event: { synthetic: audio } }\ndefaults: { play: 300ms }\n"


def main():
    with tempfile.TemporaryDirectory() as temporary:
        scenario = pathlib.Path(temporary) / "scenario.yaml"
        scenario.write_text(two_zones.scenario("random port", FLOWS, CONTENT))
        done = subprocess.run([sys.argv[1], "run", scenario, "--report", "json:-", "--quiet"], capture_output=True, text=True, timeout=120)
    flows = {flow["id"]: flow for flow in json.loads(done.stdout)["flows"]}
    port = int(flows["feed"]["legs"][0]["destination"].split(":")[1])
    print(f"verdicts {[flow['verdict'] for flow in flows.values()]}, fallback on {port}")
    return 0 if all(flow["verdict"] == "pass" for flow in flows.values()) and 4991 <= port <= 5000 else 1


if __name__ == "__main__":
    sys.exit(main())
