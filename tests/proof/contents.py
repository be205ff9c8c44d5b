#!/usr/bin/env python3
"""contents.py WMLAB: what odd files come to in an open lab, for every type of flow that carries media: headers with pictures of
12 to 140 KB, recordings that were never finished, packets of every size. Each must pass where the protocol can carry it; where it
cannot, the report says so with the number. The files are made here, packet by packet."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import uuid

wmlab = os.path.abspath(sys.argv[1])


def guid(text):
    return uuid.UUID(text).bytes_le


def piece(name, body):
    return guid(name) + struct.pack("<Q", 24 + len(body)) + body


def packet(number, size, step, preroll):
    """One payload of mu-law sound, with the padding that makes it this long."""
    fixed = 3 + 2 + 2 + 6 + 15
    media = min(800, size - fixed)
    head = b"\x82\0\0\x10\x5d" + struct.pack("<HIH", size - fixed - media, number * step, step)
    payload = struct.pack("<BBIBII", 0x81, number & 255, 0, 8, media, preroll + number * step)
    return head + payload + bytes((number * 7 + i) & 255 for i in range(media)) + b"\0" * (size - fixed - media)


def asf(picture=0, size=900, count=60, step=100, rate=72000, flags=2, told=True):
    """`told`: the header says how many packets there are; a recording that was never finished does not."""
    preroll, form = 1000, struct.pack("<HHIIHHH", 7, 1, 8000, 8000, 1, 8, 0)
    counted = count if told else 0
    children = [piece("8CABDCA1-A947-11CF-8EE4-00C00C205365",
                      b"\x11" * 16 + struct.pack("<6QIIII", 0, 0, counted, (count * step + preroll) * 10000, count * step * 10000, preroll, flags, size, size, rate)),
                piece("5FBF03B5-A92E-11CF-8EE3-00C00C205365", guid("ABD3D211-A9BA-11CF-8EE6-00C00C205365") + struct.pack("<HI", 6, 0)),
                piece("B7DC0791-A9B7-11CF-8EE6-00C00C205365",
                      guid("F8699E40-5B4D-11CF-A8FD-00805F5C442B") + guid("20FB5700-5B55-11CF-A8FD-00805F5C442B") +
                      struct.pack("<QIIHI", 0, len(form), 0, 1, 0) + form)]
    while picture > 0:  # an attribute holds less than 64 KB
        part, name = min(picture, 60000), "WM/Picture\0".encode("utf-16le")
        children.append(piece("D2D0A440-E307-11D2-97F0-00A0C95EA850",
                              struct.pack("<HH", 1, len(name)) + name + struct.pack("<HH", 1, part) + b"\xaa" * part))
        picture -= part
    body = b"".join(children)
    header = guid("75B22630-668E-11CF-A6D9-00AA0062CE6C") + struct.pack("<QIBB", 30 + len(body), len(children), 1, 2) + body
    packets = b"".join(packet(number, size, step, preroll) for number in range(count))
    data = guid("75B22636-668E-11CF-A6D9-00AA0062CE6C") + struct.pack("<Q", 50 + (len(packets) if told else 0)) + b"\x11" * 16 + struct.pack("<QH", counted, 0x101)
    return header + data + packets


SCENARIO = """version: 1
zones:
  inside: {{ subnet: 10.10.0.0/24, interface: inside }}
  outside: {{ subnet: 10.20.0.0/24, interface: outside }}
hosts:
  media: {{ zone: inside, address: 10.10.0.10 }}
  player: {{ zone: outside, address: 10.20.0.10 }}
  edge: {{ zone: outside, address: 10.20.0.12 }}
content:
  odd: {{ file: odd.asf }}
defaults: {{ content: odd, deadline: {deadline}, play: 1s }}
flows:
  - {{ id: tcp, type: mms-tcp, from: player, to: media }}
  - {{ id: udp, type: mms-udp, from: player, to: media }}
  - {{ id: web, type: http, from: player, to: media }}
  - {{ id: auto, type: mms-auto, from: player, to: media }}
  - {{ id: feed, type: msbd, from: edge, to: media, source: server }}
  - {{ id: webfeed, type: http-distribution, from: edge, to: media, source: server }}
  - {{ id: group, type: multicast, from: media, to: [player], group: 239.1.2.3, port: 8080, ttl: 5 }}
"""

# What cannot be, flow by flow: the words that the report must have.
no_datagram = {"udp": "datagram", "group": "datagram"}
large = dict(step=200, count=40, rate=6_000_000)
cases = [("a picture of 12 KB, impatient", asf(picture=12_000, rate=64000), "1500ms", {}),
         ("a picture of 30 KB, slow", asf(picture=30_000, rate=32000), "3s", {}),
         ("pictures of 140 KB", asf(picture=140_000, rate=300_000, size=1400), "3s", {"feed": "65487 fit"}),
         ("a recording that was never finished", asf(flags=1, told=False), "3s", {}),
         ("a short one", asf(flags=1, told=False, count=8), "3s", {}),
         ("no flag, no counts", asf(flags=0, told=False), "3s", {}),
         ("counts, and the flag all the same", asf(flags=3), "3s", {}),
         ("packets of 100 bytes", asf(size=100), "3s", {}),
         ("packets that travel in fragments", asf(size=8000, rate=640_000), "3s", {}),
         ("the largest packet of a datagram", asf(size=65499, **large), "3s", {}),
         ("one byte more", asf(size=65500, **large), "3s", no_datagram),
         ("the largest packet of MSBD, and one byte", asf(size=65512, **large), "3s", {**no_datagram, "feed": "65511"}),
         ("more than any protocol carries", asf(size=65528, **large), "3s",
          dict.fromkeys(("tcp", "udp", "web", "auto", "feed", "webfeed", "group"), "no protocol carries more than 65527"))]

wrong = 0
for name, content, deadline, cannot in cases:
    with tempfile.TemporaryDirectory() as here:
        os.chmod(here, 0o755)
        open(f"{here}/odd.asf", "wb").write(content)
        open(f"{here}/scenario.yaml", "w", encoding="utf-8").write(SCENARIO.format(deadline=deadline))
        ran = subprocess.run([wmlab, "run", "scenario.yaml", "--no-color", "--report", "json:report.json"], cwd=here, capture_output=True, text=True, timeout=200)
        try:
            flows = json.load(open(f"{here}/report.json", encoding="utf-8"))["flows"]
        except (OSError, ValueError):
            flows = []
        faults = [] if len(flows) == 7 else [f"no whole report, exit {ran.returncode}: {ran.stderr[-500:]}"]
        for flow in flows:
            kind = flow["id"].split("@")[0].split("[")[0].split("/")[0]
            words = cannot.get(kind)
            told = (flow.get("explanation") or "") + " " + (flow.get("reason") or "")
            if words is None and flow["verdict"] != "pass":
                faults.append(f"{flow['id']} is {flow['verdict']}: {told[:300]}")
            if words is not None and (flow["verdict"] == "pass" or words not in told):
                faults.append(f"{flow['id']} is {flow['verdict']}, without `{words}`: {told[:300]}")
        print(("WRONG " if faults else "ok    ") + name + "".join("\n      " + fault for fault in faults), flush=True)
        wrong += bool(faults)
sys.exit(1 if wrong else 0)
