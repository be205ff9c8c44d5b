#!/usr/bin/env python3
"""nobodys_path.py WMLAB: as root, a program of a scenario is looked for where nobody may run it: a copy that is root's own and comes first
in PATH is passed over; where there is no other, the report says whom it is for. Skipped for ordinary users."""
import os
import subprocess
import sys
import tempfile

if os.geteuid() != 0:
    print("skipped: programs are nobody only where root starts them")
    sys.exit(77)
wmlab, wrong = os.path.abspath(sys.argv[1]), 0
with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory(dir=os.path.expanduser("~root")) as own:  # not in /tmp, which is shown
    os.chmod(here, 0o755)
    os.mkdir(f"{here}/all")
    place_of = {"own": own, "all": f"{here}/all"}
    for place in place_of.values():
        with open(f"{place}/odd-tool", "w", encoding="utf-8") as tool:
            tool.write("#!/bin/sh\nexec /usr/bin/python3 -m http.server 3128 --bind 10.20.0.13\n")
        os.chmod(f"{place}/odd-tool", 0o755)
    with open(f"{here}/scenario.yaml", "w", encoding="utf-8") as scenario:
        scenario.write("version: 1\nzones:\n  inside: { subnet: 10.10.0.0/24, interface: inside }\n  outside: { subnet: 10.20.0.0/24, interface: outside }\n"
                       "hosts:\n  media: { zone: inside, address: 10.10.0.10 }\n  player: { zone: outside, address: 10.20.0.10 }\n"
                       "  beside: { zone: outside, address: 10.20.0.13, run: [odd-tool] }\n"
                       "content:\n  tone: { synthetic: audio }\ndefaults: { content: tone, play: 0.5s }\n"
                       "flows:\n  - { id: web, type: http, from: player, to: media, proxy: { host: beside, port: 3128 } }\n")
    # A web server is no proxy: the flow fails, where the program runs.
    for places, code, words in ((("own", "all"), 1, "! web"), (("all", "own"), 1, "! web"), (("own",), 3, "may everybody run it?")):
        path = ":".join([place_of[place] for place in places] + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        ran = subprocess.run([wmlab, "run", "scenario.yaml", "--no-color"], cwd=here, capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": path})
        holds = ran.returncode == code and words in ran.stdout + ran.stderr
        print(f"{'ok' if holds else 'WRONG':6}{' before '.join(places)}: exit {ran.returncode}" + ("" if holds else "\n" + ran.stdout[-800:] + ran.stderr[-800:]))
        wrong += not holds
sys.exit(1 if wrong else 0)
